//! A table without gaps, found by descriptor number.

use std::os::fd::RawFd;

/// Entries side by side, as poll wants them, each under the number of a descriptor.
#[derive(Debug)]
pub(super) struct Dense<T> {
    entries: Vec<T>,
    /// The descriptor of each entry.
    numbers: Vec<RawFd>,
    /// The place of each descriptor's entry, [`NOWHERE`] without one.
    places: Vec<u32>,
}

const NOWHERE: u32 = u32::MAX;

impl<T> Dense<T> {
    pub(super) fn new() -> Dense<T> {
        Dense {
            entries: Vec::new(),
            numbers: Vec::new(),
            places: Vec::new(),
        }
    }

    pub(super) fn entries(&self) -> &[T] {
        &self.entries
    }

    pub(super) fn entries_mut(&mut self) -> &mut [T] {
        &mut self.entries
    }

    fn place(&self, fd: RawFd) -> Option<usize> {
        let place = *self.places.get(usize::try_from(fd).ok()?)?;
        (place != NOWHERE).then_some(place as usize)
    }

    pub(super) fn get_mut(&mut self, fd: RawFd) -> Option<&mut T> {
        let place = self.place(fd)?;
        self.entries.get_mut(place)
    }

    /// Puts `entry` under `fd`, in place of what was there.
    pub(super) fn insert(&mut self, fd: RawFd, entry: T) {
        if let Some(place) = self.place(fd) {
            self.entries[place] = entry;
            return;
        }
        let number = usize::try_from(fd).expect("an open descriptor has a number");
        if self.places.len() <= number {
            self.places.resize(number + 1, NOWHERE);
        }
        self.places[number] = self.entries.len() as u32;
        self.entries.push(entry);
        self.numbers.push(fd);
    }

    /// Takes out what is under `fd`; the last entry takes its place.
    pub(super) fn remove(&mut self, fd: RawFd) {
        let Some(place) = self.place(fd) else {
            return;
        };
        self.places[fd as usize] = NOWHERE;
        self.entries.swap_remove(place);
        self.numbers.swap_remove(place);
        if let Some(&moved) = self.numbers.get(place) {
            self.places[moved as usize] = place as u32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_entry_takes_the_place_of_one_that_goes() {
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
