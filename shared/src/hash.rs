//! A map whose keys nobody chooses who would profit from collisions: what operators write into a policy, and what the control plane
//! draws. With the standard library's hash, made for keys that attackers choose, looking one up would be a tenth of a decision.

use core::hash::{BuildHasherDefault, Hasher};
use std::collections::HashMap;

/// A map with [`WordHasher`].
pub type WordMap<K, V> = HashMap<K, V, BuildHasherDefault<WordHasher>>;

/// Takes in four bytes at a time, each with a rotation, an exclusive or and a multiplication.
#[derive(Clone, Copy, Debug, Default)]
pub struct WordHasher(u32);

impl WordHasher {
    fn take(&mut self, word: u32) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(FACTOR);
    }
}

/// 2^32 divided by the golden ratio, made odd.
const FACTOR: u32 = 0x9e37_79b9;

impl Hasher for WordHasher {
    fn write(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some((word, others)) = rest.split_first_chunk() {
            self.take(u32::from_le_bytes(*word));
            rest = others;
        }
        for byte in rest {
            self.take(u32::from(*byte));
        }
    }

    fn write_u8(&mut self, _end: u8) {} // follows each text

    fn write_usize(&mut self, _length: usize) {} // goes before bytes

    /// Tables look at the upper bits and at the lower ones; after a multiplication the upper ones are the better ones.
    fn finish(&self) -> u64 {
        let mixed = u64::from(self.0 ^ (self.0 >> 15));
        mixed << 32 | mixed
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn words_that_differ_little_have_hashes_that_spread() {
        let hash = |text: &str| {
            let mut hasher = WordHasher::default();
            hasher.write(text.as_bytes());
            hasher.finish()
        };
        let words: Vec<String> = (0..5_000).map(|n| format!("resource{n:04}")).collect();
        let all: HashSet<u64> = words.iter().map(|word| hash(word)).collect();
        assert_eq!(all.len(), words.len());
        // What tables take: the lower bits for the place, the upper seven to tell apart what is there.
        for (shift, parts) in [(0, 8_192), (57, 128)] {
            let mut counts = std::collections::BTreeMap::<u64, usize>::new();
            for word in &words {
                *counts.entry((hash(word) >> shift) % parts).or_default() += 1;
            }
            let (used, most) = (counts.len() as u64, counts.values().max().copied().unwrap_or_default());
            assert!(used * 3 > parts && most as u64 <= 12 * (words.len() as u64 / parts + 1), "{used} of {parts}, at most {most}");
        }
    }
}
