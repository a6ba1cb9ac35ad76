//! A buffer between the layers and their two sides.

/// Bytes that are taken from the front.
#[derive(Default)]
pub(super) struct Bytes {
    pub(super) data: Vec<u8>,
    pub(super) taken: usize,
}

impl Bytes {
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.data[self.taken..]
    }

    pub(super) fn len(&self) -> usize {
        self.data.len() - self.taken
    }

    pub(super) fn take(&mut self, n: usize) {
        self.taken += n;
        if self.taken == self.data.len() {
            // Nothing is held while nothing is on its way.
            *self = Bytes::default();
        }
    }

    pub(super) fn push_front(&mut self, mut bytes: Vec<u8>) {
        bytes.extend_from_slice(self.as_slice());
        *self = Bytes { data: bytes, taken: 0 };
    }
}
