//! Object reader: the fields of an object to one token per wanted name.
//!
//! Producers write the same keys in the same order. So what stood before the n-th value of the last
//! object, from the end of the value before (`,"bidder":`, blanks included), is remembered with the
//! name it meant; where it stands again, two comparisons replace reading and looking up the key.

use super::super::swar;
use super::escape;
use super::reader::{Broken, Kind, Reader, Token};

/// Fields of an object whose lead is remembered; the others are looked up each time.
const LEADS_MAX: usize = 1024;

/// Longest lead that is remembered.
const LEAD_BYTES_MAX: usize = 256;

/// Reads objects of one shape.
pub(super) struct ObjectReader {
    slots: hashbrown::HashMap<Box<[u8]>, usize>,
    /// By position in the object.
    leads: Vec<Lead>,
    tokens: Vec<Token>,
    scratch: Vec<u8>,
}

/// What stands before a value, and which name that is.
struct Lead {
    text: Vec<u8>,
    /// First and last eight bytes; all there is when the text has eight to sixteen.
    ends: Option<(u64, u64)>,
    slot: Option<usize>,
}

impl ObjectReader {
    /// For objects of which `names` are wanted.
    pub(super) fn new<'a>(names: impl Iterator<Item = &'a str>) -> ObjectReader {
        let names: Vec<Box<[u8]>> = names.map(|name| name.as_bytes().into()).collect();
        let tokens = vec![Token::MISSING; names.len()];
        let slots = names.into_iter().enumerate().map(|(slot, name)| (name, slot)).collect();
        ObjectReader { slots, leads: Vec::new(), tokens, scratch: Vec::new() }
    }

    /// What the last object had under each name.
    pub(super) fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// Reads the object that begins here or behind blanks. `depth` counts it and those around it.
    #[inline(always)]
    pub(super) fn read(&mut self, reader: &mut Reader<'_>, depth: usize) -> Result<(), Broken> {
        self.tokens.iter_mut().for_each(|token| token.kind = Kind::Missing);
        reader.skip_blanks();
        let start = reader.at;
        for index in 0.. {
            let slot = match self.leads.get(index) {
                Some(lead) if lead.is_at(reader) => {
                    reader.at += lead.text.len();
                    lead.slot
                }
                _ if index > 0 && reader.peek() == Some(b'}') => {
                    reader.at += 1;
                    break;
                }
                _ => match self.read_lead(reader, start, index)? {
                    Some(slot) => slot,
                    None => break,
                },
            };
            let token = reader.value(depth)?;
            if let Some(slot) = slot {
                self.tokens[slot] = token;
            }
        }
        Ok(())
    }

    /// Reads a key and remembers it. `None` at the end of the object, else the name's slot.
    #[inline(never)]
    fn read_lead(
        &mut self,
        reader: &mut Reader<'_>,
        start: usize,
        index: usize,
    ) -> Result<Option<Option<usize>>, Broken> {
        let lead_start = reader.at;
        let Some(key) = reader.next_key(start)? else { return Ok(None) };
        let slot = match key.kind {
            Kind::Text => self.slots.get(key.text(reader.line)),
            _ => {
                self.scratch.clear();
                escape::unescape(key.text(reader.line), &mut self.scratch);
                self.slots.get(self.scratch.as_slice())
            }
        };
        let slot = slot.copied();
        self.learn(index, &reader.line[lead_start..reader.at], slot);
        Ok(Some(slot))
    }

    fn learn(&mut self, index: usize, text: &[u8], slot: Option<usize>) {
        if text.len() > LEAD_BYTES_MAX || index >= LEADS_MAX || index > self.leads.len() {
            return;
        }
        if index == self.leads.len() {
            self.leads.push(Lead { text: Vec::new(), ends: None, slot });
        }
        let lead = &mut self.leads[index];
        lead.text.clear();
        lead.text.extend_from_slice(text);
        lead.ends = match text.len() {
            8..=16 => swar::word_at(text, 0).zip(swar::word_at(text, text.len() - 8)),
            _ => None,
        };
        lead.slot = slot;
    }
}

impl Lead {
    #[inline]
    fn is_at(&self, reader: &Reader<'_>) -> bool {
        match self.ends {
            Some((first, last)) => {
                let last_at = reader.at + self.text.len() - 8;
                swar::word_at(reader.line, reader.at) == Some(first)
                    && swar::word_at(reader.line, last_at) == Some(last)
            }
            None => reader.line[reader.at..].starts_with(&self.text),
        }
    }
}
