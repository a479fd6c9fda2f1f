//! A table of connections, with tokens that never name the wrong one.

/// Names an entry. Once that entry has been removed the token names nothing, even if its slot is
/// used again: a stale event of a descriptor that was closed and reused in one batch is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token {
    index: u32,
    generation: u32,
}

impl Token {
    pub(crate) fn new(index: u32, generation: u32) -> Token {
        Token { index, generation }
    }

    /// Number of its slot.
    pub(crate) fn index(self) -> u32 {
        self.index
    }

    /// Which of the entries that the slot has had.
    pub(crate) fn generation(self) -> u32 {
        self.generation
    }

    /// The generation that follows, in the same slot.
    pub(crate) fn generation_after(generation: u32) -> u32 {
        (generation + 1) & GENERATION_MASK
    }

    /// As one number, of which the top bit is never set: see [`Source`](crate::Source).
    pub fn number(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    /// Back from the number.
    pub fn from_number(number: u64) -> Token {
        Token {
            index: number as u32,
            generation: (number >> 32) as u32,
        }
    }
}

/// A table of at most as many entries as it was made for. It grows as it is filled.
#[derive(Debug)]
pub struct Slots<T> {
    entries: Vec<Entry<T>>,
    free: Vec<u32>,
    max: usize,
}

#[derive(Debug)]
struct Entry<T> {
    generation: u32,
    value: Option<T>,
}

/// Generations wrap here, so that the top bit of a token's number stays clear.
const GENERATION_MASK: u32 = 0x7fff_ffff;

impl<T> Slots<T> {
    /// An empty table for at most `max` entries.
    pub fn new(max: usize) -> Slots<T> {
        Slots {
            entries: Vec::new(),
            free: Vec::new(),
            max,
        }
    }

    /// Entries in it.
    pub fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no room for another.
    pub fn is_full(&self) -> bool {
        self.len() >= self.max
    }

    /// Puts `value` into a free slot.
    ///
    /// # Panics
    /// If [`is_full`](Self::is_full).
    pub fn insert(&mut self, value: T) -> Token {
        assert!(
            !self.is_full(),
            "the caller has looked whether there is room"
        );
        let index = self.free.pop().unwrap_or_else(|| {
            self.entries.push(Entry {
                generation: 0,
                value: None,
            });
            (self.entries.len() - 1) as u32
        });
        let entry = &mut self.entries[index as usize];
        entry.value = Some(value);
        Token {
            index,
            generation: entry.generation,
        }
    }

    /// What `token` names, if it is still there.
    pub fn get_mut(&mut self, token: Token) -> Option<&mut T> {
        let entry = self.entries.get_mut(token.index as usize)?;
        if entry.generation == token.generation {
            entry.value.as_mut()
        } else {
            None
        }
    }

    /// Removes what `token` names; the token names nothing from then on.
    pub fn remove(&mut self, token: Token) -> Option<T> {
        let entry = self.entries.get_mut(token.index as usize)?;
        if entry.generation != token.generation {
            return None;
        }
        let value = entry.value.take()?;
        entry.generation = Token::generation_after(entry.generation);
        self.free.push(token.index);
        Some(value)
    }

    /// Takes out what `token` names and keeps its slot: until it is given back the token names
    /// nothing, and nothing else can use the slot.
    pub fn lend(&mut self, token: Token) -> Option<T> {
        let entry = self.entries.get_mut(token.index as usize)?;
        if entry.generation != token.generation {
            return None;
        }
        entry.value.take()
    }

    /// Whether `token` names something that was lent.
    pub fn is_lent(&self, token: Token) -> bool {
        let entry = self.entries.get(token.index as usize);
        entry.is_some_and(|entry| entry.generation == token.generation && entry.value.is_none())
    }

    /// Puts back what was lent.
    ///
    /// # Panics
    /// If it was not lent.
    pub fn give_back(&mut self, token: Token, value: T) -> &mut T {
        let entry = &mut self.entries[token.index as usize];
        assert!(
            entry.generation == token.generation && entry.value.is_none(),
            "only what was lent is given back"
        );
        entry.value.insert(value)
    }

    /// Tokens of all entries, as they are now.
    pub fn tokens(&self) -> Vec<Token> {
        let held = self
            .entries
            .iter()
            .enumerate()
            .filter(|(_, entry)| entry.value.is_some());
        held.map(|(index, entry)| Token {
            index: index as u32,
            generation: entry.generation,
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_never_names_its_successor() {
        let mut slots = Slots::new(2);
        let first = slots.insert('a');
        assert_eq!(slots.remove(first), Some('a'));
        let second = slots.insert('b');
        assert_eq!(first.index, second.index);
        assert_eq!(slots.get_mut(first), None);
        assert_eq!(slots.remove(first), None);
        assert_eq!(
            slots.get_mut(Token::from_number(second.number())),
            Some(&mut 'b')
        );
    }

    #[test]
    fn what_is_lent_keeps_its_slot() {
        let mut slots = Slots::new(2);
        let token = slots.insert('a');
        assert_eq!(slots.lend(token), Some('a'));
        assert_eq!(slots.get_mut(token), None);
        assert_eq!(slots.lend(token), None);
        assert!(slots.is_lent(token));
        assert_eq!((slots.len(), slots.tokens()), (1, vec![]));
        assert_ne!(slots.insert('b').index, token.index);
        assert!(slots.is_full());
        slots.give_back(token, 'c');
        assert_eq!(slots.remove(token), Some('c'));
    }

    #[test]
    fn it_is_bounded_and_lists_what_it_holds() {
        let mut slots = Slots::new(2);
        let tokens = [slots.insert(1), slots.insert(2)];
        assert!(slots.is_full());
        assert_eq!(slots.tokens(), tokens);
        slots.remove(tokens[0]);
        assert_eq!((slots.len(), slots.tokens()), (1, vec![tokens[1]]));
    }
}
