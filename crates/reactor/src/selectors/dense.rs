//! A table without gaps, found by descriptor number.

use std::os::fd::RawFd;

/// Entries side by side, as poll wants them, each under the number of a descriptor.
#[derive(Debug)]
pub(super) struct Dense<T> {
    entries: Vec<T>,
    /// The descriptor of each entry.
    numbers: Vec<RawFd>,
    /// The index of each descriptor's entry, [`NO_ENTRY`] without one.
    indices: Vec<u32>,
}

const NO_ENTRY: u32 = u32::MAX;

impl<T> Dense<T> {
    pub(super) fn new() -> Dense<T> {
        Dense {
            entries: Vec::new(),
            numbers: Vec::new(),
            indices: Vec::new(),
        }
    }

    pub(super) fn entries(&self) -> &[T] {
        &self.entries
    }

    pub(super) fn entries_mut(&mut self) -> &mut [T] {
        &mut self.entries
    }

    fn index(&self, fd: RawFd) -> Option<usize> {
        let index = *self.indices.get(usize::try_from(fd).ok()?)?;
        (index != NO_ENTRY).then_some(index as usize)
    }

    pub(super) fn get_mut(&mut self, fd: RawFd) -> Option<&mut T> {
        let index = self.index(fd)?;
        self.entries.get_mut(index)
    }

    /// Puts `entry` under `fd`, instead of what was there.
    pub(super) fn insert(&mut self, fd: RawFd, entry: T) {
        if let Some(index) = self.index(fd) {
            self.entries[index] = entry;
            return;
        }
        let number = usize::try_from(fd).expect("an open descriptor has a number");
        if self.indices.len() <= number {
            self.indices.resize(number + 1, NO_ENTRY);
        }
        self.indices[number] = self.entries.len() as u32;
        self.entries.push(entry);
        self.numbers.push(fd);
    }

    /// Removes what is under `fd`; the last entry moves there.
    pub(super) fn remove(&mut self, fd: RawFd) {
        let Some(index) = self.index(fd) else {
            return;
        };
        self.indices[fd as usize] = NO_ENTRY;
        self.entries.swap_remove(index);
        self.numbers.swap_remove(index);
        if let Some(&moved) = self.numbers.get(index) {
            self.indices[moved as usize] = index as u32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_entry_moves_where_one_was_removed() {
        let mut table = Dense::new();
        for (fd, entry) in [(9, 'a'), (4, 'b'), (7, 'c')] {
            table.insert(fd, entry);
        }
        table.remove(9);
        table.remove(9);
        assert_eq!(table.entries(), ['c', 'b']);
        assert_eq!(table.get_mut(7), Some(&mut 'c'));
        assert_eq!(table.get_mut(9), None);
        table.insert(4, 'd');
        table.remove(7);
        assert_eq!(table.entries(), ['d']);
    }
}
