//! Sorts records of a fixed size in bounded memory: runs are sorted and written to temporary files, then merged.
//!
//! Rows lie nearly in the order of their transactions, so a run is mostly in order already, and runs hardly overlap.

use pgrx::prelude::*;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Takes records of `N` bytes, which are compared byte by byte, and gives them back in ascending order.
pub struct Sorter<const N: usize> {
    records: Vec<[u8; N]>,
    /// Records that memory may hold.
    capacity: usize,
    runs: Vec<File>,
}

impl<const N: usize> Sorter<N> {
    /// With memory for so many bytes.
    pub fn new(bytes: usize) -> Self {
        Self { records: Vec::new(), capacity: (bytes / N).max(1024), runs: Vec::new() }
    }

    pub fn push(&mut self, record: [u8; N]) {
        if self.records.len() >= self.capacity {
            self.spill();
        }
        self.records.push(record);
    }

    /// All records in order.
    pub fn sorted(mut self) -> Sorted<N> {
        if self.runs.is_empty() {
            sort(&mut self.records);
            return Sorted::Memory(self.records.into_iter());
        }
        if !self.records.is_empty() {
            self.spill();
        }
        self.records = Vec::new();
        let mut merge = Merge { runs: self.runs.into_iter().map(Run::new).collect(), heap: BinaryHeap::new() };
        for at in 0..merge.runs.len() {
            if let Some(record) = merge.runs[at].next() {
                merge.heap.push(Reverse((record, at)));
            }
        }
        Sorted::Files(merge)
    }

    fn spill(&mut self) {
        sort(&mut self.records);
        let file = File::new();
        file.write(self.records.as_flattened());
        file.rewind();
        self.runs.push(file);
        self.records.clear();
    }
}

/// Records in ascending order.
pub enum Sorted<const N: usize> {
    Memory(std::vec::IntoIter<[u8; N]>),
    Files(Merge<N>),
}

impl<const N: usize> Iterator for Sorted<N> {
    type Item = [u8; N];
    fn next(&mut self) -> Option<[u8; N]> {
        match self {
            Self::Memory(records) => records.next(),
            Self::Files(merge) => merge.next(),
        }
    }
}

/// Runs that are read side by side.
pub struct Merge<const N: usize> {
    runs: Vec<Run<N>>,
    heap: BinaryHeap<Reverse<([u8; N], usize)>>,
}

impl<const N: usize> Merge<N> {
    fn next(&mut self) -> Option<[u8; N]> {
        let mut top = self.heap.peek_mut()?;
        let Reverse((record, at)) = *top;
        match self.runs[at].next() {
            // Replacing the top is cheaper than taking it out and adding another.
            Some(next) => *top = Reverse((next, at)),
            None => {
                std::collections::binary_heap::PeekMut::pop(top);
            }
        }
        Some(record)
    }
}

struct Run<const N: usize> {
    file: File,
    buffer: Vec<u8>,
    at: usize,
}

impl<const N: usize> Run<N> {
    fn new(file: File) -> Self {
        Self { file, buffer: Vec::new(), at: 0 }
    }

    fn next(&mut self) -> Option<[u8; N]> {
        if self.at >= self.buffer.len() {
            self.buffer.resize(N * READ_RECORDS, 0);
            let read = self.file.read(&mut self.buffer);
            self.buffer.truncate(read - read % N);
            self.at = 0;
        }
        let record = self.buffer.get(self.at..)?.first_chunk().copied()?;
        self.at += N;
        Some(record)
    }
}

/// A temporary file of PostgreSQL's: counted against temp_file_limit, and gone with the transaction.
struct File(*mut pg_sys::BufFile);

impl File {
    fn new() -> Self {
        // SAFETY: in a transaction, whose end closes what is left open.
        Self(unsafe { pg_sys::BufFileCreateTemp(false) })
    }

    fn write(&self, bytes: &[u8]) {
        // SAFETY: the bytes are only read; older servers declare them otherwise.
        unsafe { pg_sys::BufFileWrite(self.0, bytes.as_ptr().cast_mut().cast(), bytes.len()) };
    }

    fn rewind(&self) {
        // SAFETY: the file is open.
        unsafe { pg_sys::BufFileSeek(self.0, 0, 0, 0) };
    }

    fn read(&self, bytes: &mut [u8]) -> usize {
        // SAFETY: the buffer has room for that many bytes.
        unsafe { pg_sys::BufFileRead(self.0, bytes.as_mut_ptr().cast(), bytes.len()) }
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // While an error unwinds, PostgreSQL closes the file itself.
        if !std::thread::panicking() {
            // SAFETY: opened by us and closed nowhere else.
            unsafe { pg_sys::BufFileClose(self.0) };
        }
    }
}

/// Bytes for sorting: maintenance_work_mem, as for building an index.
pub fn memory() -> usize {
    // SAFETY: reads a variable of this backend; it is in kB.
    usize::try_from(unsafe { pg_sys::maintenance_work_mem }).unwrap_or(0) * 1024
}

fn sort<const N: usize>(records: &mut [[u8; N]]) {
    if !records.is_sorted() {
        records.sort_unstable();
    }
}

/// Records that are read at once from each run.
const READ_RECORDS: usize = 512;
