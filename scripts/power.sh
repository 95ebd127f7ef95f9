#!/usr/bin/env bash
# Takes the disk away from under journals that are being written, again and again: a file system on a
# loop device is shut down without its page cache, as if the power had gone, mounted again, and looked
# at. Needs root, losetup and mkfs. The page cache alone is lost so: direct writes that were not synced
# survive this.
#
#   scripts/power.sh [CUTS [ext4|xfs]]
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
cuts=${1:-30} kind=${2:-ext4}

say "build"
cargo test --release --locked --lib --no-run
tests=$(cargo test --release --locked --lib --no-run 2>&1 | sed -n 's/.*Executable.*(\(.*\))/\1/p')
if [[ -z $tests ]]; then echo "power.sh: cargo names no test program" >&2; exit 1; fi
lab=journal::tests::lab

place=$(mktemp -d)
mkdir "$place/disk"
# A ring that was killed lets go of its files a little later.
unmount() {
    for _ in {1..100}; do
        if umount "$place/disk" 2>/dev/null; then return; fi
        sleep 0.05
    done
    umount "$place/disk"
}
cleanup() {
    if mountpoint -q "$place/disk"; then unmount || return; fi
    if [[ -n ${device:-} ]]; then losetup --detach "$device" 2>/dev/null || true; fi
    rm -rf "$place"
}
trap cleanup EXIT
truncate --size 512M "$place/image"
device=$(losetup --show --find "$place/image")
case $kind in
    ext4) mkfs.ext4 -q -F "$device" ;;
    xfs) mkfs.xfs -q -f "$device" ;;
    *) echo "power.sh: $kind is neither ext4 nor xfs" >&2; exit 2 ;;
esac

export PELTON_LAB_DIRECTORY="$place/disk/j" PELTON_LAB_REPORT="$place/report"
# FS_IOC_SHUTDOWN, and not even the log is flushed.
shut_down="import fcntl, os, struct
fcntl.ioctl(os.open('$place/disk', os.O_RDONLY), 0x8004587d, struct.pack('I', 2))"

say "$cuts cuts of $kind"
for ((cut = 1; cut <= cuts; cut++)); do
    mount "$device" "$place/disk"
    "$tests" --ignored --exact $lab::appends_until_it_is_cut_off >"$place/log" 2>&1 &
    writer=$!
    sleep "$((RANDOM % 2)).$((RANDOM % 900 + 100))"
    if ! kill -0 $writer 2>/dev/null; then cat "$place/log"; exit 1; fi
    python3 -c "$shut_down"
    kill -KILL $writer 2>/dev/null || true
    wait $writer 2>/dev/null || true
    unmount
    mount "$device" "$place/disk"
    if ! "$tests" --ignored --exact --nocapture $lab::finds_what_was_cut_off >"$place/log" 2>&1; then
        cat "$place/log"
        echo "power.sh: cut $cut lost something" >&2
        exit 1
    fi
    grep -h "^epoch" "$place/log" || true
    unmount
done
echo "$cuts cuts, nothing lost"
