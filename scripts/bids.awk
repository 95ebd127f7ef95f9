# Bids of an auction house as JSON lines, always the same ones: awk -f bids.awk -v count=1000000
#
# 10,000 bids a second from 12:00 on, up to 3 seconds out of order; 1,000 auctions, of which ten get
# half of the bids, another ten every ten seconds.

# The minimal standard generator: the product stays below 2^53, where awk's numbers are exact.
function random(below) {
  seed = (seed * 16807) % 2147483647
  return int(seed / 2147483647 * below)
}

BEGIN {
  seed = 42
  split("web app phone hall", channels, " ")
  for (i = 0; i < count; i++) {
    ms = int(i / 10) - random(3000)
    if (ms < 0) ms = 0
    second = int(ms / 1000)
    auction = random(2) ? int(second / 10) * 100 % 1000 + random(10) : random(1000)
    printf "{\"auction\":%d,\"bidder\":%d,\"price\":%d,\"channel\":\"%s\",\"ts\":\"2026-01-01 %02d:%02d:%02d.%03d\"}\n", \
      1000 + auction, random(50000), 100 + random(100000), channels[1 + random(4)], \
      12 + int(second / 3600), int(second / 60) % 60, second % 60, ms % 1000
  }
}
