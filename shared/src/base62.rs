//! Base62 with a fixed width: numbers in the alphabet `0-9A-Za-z`, most significant digit first, padded with `0`.

/// The digits in order of value.
pub const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Whether `byte` is one of the 62 digits.
pub const fn is_digit(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

/// The lowest `N` base62 digits of `value`, most significant first.
///
/// ```
/// assert_eq!(&keyward_shared::base62::encode::<4>(63), b"0011");
/// ```
pub fn encode<const N: usize>(mut value: u64) -> [u8; N] {
    let mut digits = [b'0'; N];
    for digit in digits.iter_mut().rev() {
        *digit = digit_for(value % 62);
        value /= 62;
    }
    digits
}

/// The digit whose value is `value % 62`.
pub(crate) fn digit_for(value: u64) -> u8 {
    ALPHABET[usize::try_from(value % 62).unwrap_or(0)]
}

/// The number that base62 `digits` stand for, or `None` for another character or more than 64 bits.
pub fn decode(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |value, &digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'A'..=b'Z' => digit - b'A' + 10,
            b'a'..=b'z' => digit - b'a' + 36,
            _ => return None,
        };
        value.checked_mul(62)?.checked_add(u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_survive_a_round_trip_at_a_fixed_width() {
        for value in [0, 1, 61, 62, 62 * 62 * 62 * 62 - 1] {
            assert_eq!(decode(&encode::<4>(value)), Some(value));
        }
        assert_eq!(&encode::<7>((1 << 40) - 1), b"JMAIjoV");
    }

    #[test]
    fn each_digit_stands_for_its_place_in_the_alphabet() {
        for (value, digit) in (0_u64..).zip(ALPHABET) {
            assert_eq!((decode(&[*digit]), encode::<1>(value)), (Some(value), [*digit]));
        }
    }

    #[test]
    fn other_characters_and_overflow_are_no_number() {
        assert_eq!(decode(b"12_4"), None);
        assert_eq!(decode(b"zzzzzzzzzzzzzz"), None);
    }
}
