//! Entries that keep their index for life, in memory that is reserved once.

use std::marker::PhantomData;
use std::ops;

/// The place of an entry; of this kind of entry only.
pub(crate) struct Index<T> {
    place: u32,
    kind: PhantomData<fn() -> T>,
}

impl<T> Clone for Index<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Index<T> {}

impl<T> PartialEq for Index<T> {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place
    }
}

/// At most `capacity` entries. An index is good until its entry is removed; whoever removes one forgets its indexes.
pub(crate) struct Slab<T> {
    entries: Vec<Option<T>>,
    free: Vec<u32>,
    capacity: usize,
}

impl<T> Slab<T> {
    pub(crate) fn new(capacity: usize) -> Slab<T> {
        let capacity = capacity.min(u32::MAX as usize);
        Slab {
            entries: Vec::with_capacity(capacity),
            free: Vec::new(),
            capacity,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    pub(crate) fn room(&self) -> usize {
        self.capacity - self.len()
    }

    /// Where the entry now is; `None` when there is no room.
    pub(crate) fn insert(&mut self, entry: T) -> Option<Index<T>> {
        let place = match self.free.pop() {
            Some(place) => {
                self.entries[place as usize] = Some(entry);
                place
            }
            None if self.entries.len() < self.capacity => {
                self.entries.push(Some(entry));
                self.entries.len() as u32 - 1
            }
            None => return None,
        };
        Some(Index {
            place,
            kind: PhantomData,
        })
    }

    pub(crate) fn remove(&mut self, index: Index<T>) -> Option<T> {
        let entry = self.entries[index.place as usize].take();
        if entry.is_some() {
            self.free.push(index.place);
        }
        entry
    }

    /// Up to `budget` places from `cursor` on, with the entries that are there, and the cursor to go on from; `None` at the end.
    pub(crate) fn walk(&self, cursor: usize, budget: usize) -> (impl Iterator<Item = &T>, Option<usize>) {
        let from = cursor.min(self.entries.len());
        let until = from.saturating_add(budget).min(self.entries.len());
        (
            self.entries[from..until].iter().flatten(),
            (until < self.entries.len()).then_some(until),
        )
    }
}

impl<T> ops::Index<Index<T>> for Slab<T> {
    type Output = T;

    fn index(&self, index: Index<T>) -> &T {
        self.entries[index.place as usize]
            .as_ref()
            .expect("an index outlived its entry")
    }
}

impl<T> ops::IndexMut<Index<T>> for Slab<T> {
    fn index_mut(&mut self, index: Index<T>) -> &mut T {
        self.entries[index.place as usize]
            .as_mut()
            .expect("an index outlived its entry")
    }
}
