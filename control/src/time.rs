//! Times as people and programs write them: RFC 3339 in UTC with seconds. Written by hand because the calendar
//! must reach to the last second of the year 9999 and nothing but RFC 3339 may be read.

use keyward_shared::time::Millis;
use thiserror::Error;

/// A text that is no point in time between 1970 and 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be a time such as 2027-01-31T00:00:00Z")]
pub struct TimeError;

/// The last millisecond of the year 9999.
pub const END: Millis = Millis(253_402_300_799_999);

const DAY_MS: u64 = 86_400_000;

/// `at` as `2027-01-31T00:00:00Z`; milliseconds are dropped.
pub fn rfc3339(at: Millis) -> String {
    let at = at.min(END);
    let (year, month, day) = civil(at.0 / DAY_MS);
    let second = at.0 % DAY_MS / 1000;
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

/// The first whole second that is not before `at`: for a promise, which must not be said to be kept earlier than it is.
pub fn rfc3339_not_before(at: Millis) -> String {
    rfc3339(at.plus(Millis(999)))
}

/// Reads RFC 3339 with an offset, to the millisecond. Local times and leap seconds are refused.
pub fn parse(text: &str) -> Result<Millis, TimeError> {
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| {
        let digits = bytes.get(from..to).filter(|digits| digits.iter().all(u8::is_ascii_digit)).ok_or(TimeError)?;
        Ok::<u64, TimeError>(digits.iter().fold(0, |n, digit| n * 10 + u64::from(digit - b'0')))
    };
    let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if separators.iter().any(|&(at, byte)| bytes.get(at).map(u8::to_ascii_uppercase) != Some(byte)) {
        return Err(TimeError);
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if !(1..=12).contains(&month) || day == 0 || day > days_in(year, month) || hour > 23 || minute > 59 || second > 59 {
        return Err(TimeError);
    }
    let mut end = 19;
    let mut millis = 0;
    if bytes.get(end) == Some(&b'.') {
        let digits = bytes[end + 1..].iter().take_while(|b| b.is_ascii_digit()).count();
        if digits == 0 {
            return Err(TimeError);
        }
        millis = (0..3).fold(0, |n, at| n * 10 + if at < digits { u64::from(bytes[end + 1 + at] - b'0') } else { 0 });
        end += 1 + digits;
    }
    let offset = offset_minutes(&bytes[end..])?;
    let days = days_before(year, month) + day - 1;
    let local = i64::try_from(days * 1440 + hour * 60 + minute).map_err(|_| TimeError)?;
    let epoch = i64::try_from(days_before(1970, 1) * 1440).map_err(|_| TimeError)?;
    let minutes = u64::try_from(local - offset - epoch).map_err(|_| TimeError)?;
    let at = Millis(minutes * 60_000 + second * 1000 + millis);
    if at <= END { Ok(at) } else { Err(TimeError) }
}

/// The minutes east of UTC that `Z` or `±hh:mm` stands for.
fn offset_minutes(bytes: &[u8]) -> Result<i64, TimeError> {
    let digit = |b: u8| if b.is_ascii_digit() { Ok(i64::from(b - b'0')) } else { Err(TimeError) };
    match *bytes {
        [b'Z' | b'z'] => Ok(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (digit(h1)? * 10 + digit(h2)?, digit(m1)? * 10 + digit(m2)?);
            let total = hours * 60 + minutes;
            if hours > 23 || minutes > 59 {
                return Err(TimeError);
            }
            Ok(if sign == b'-' { -total } else { total })
        }
        _ => Err(TimeError),
    }
}

fn leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_in(year: u64, month: u64) -> u64 {
    match month {
        2 if leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from the first day of the year 0 to the first day of `month`.
fn days_before(year: u64, month: u64) -> u64 {
    let leaps = year.div_ceil(4) - year.div_ceil(100) + year.div_ceil(400);
    year * 365 + leaps + (1..month).map(|month| days_in(year, month)).sum::<u64>()
}

/// Year, month and day, `days` after 1970-01-01.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + days_before(1970, 1);
    let mut year = days / 366; // never too late, at most a few years too early
    while days_before(year + 1, 1) <= days {
        year += 1;
    }
    let mut month = 12;
    while days_before(year, month) > days {
        month -= 1;
    }
    (year, month, days - days_before(year, month) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_survive_a_round_trip_to_the_end_of_the_year_9999() {
        for (text, millis) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:00:00Z", 951_825_600_000),
            ("2027-01-31T00:00:00Z", 1_801_353_600_000),
            ("2100-03-01T00:00:00Z", 4_107_542_400_000),
            ("9999-12-31T23:59:59Z", 253_402_300_799_000),
        ] {
            assert_eq!(parse(text), Ok(Millis(millis)), "{text}");
            assert_eq!(rfc3339(Millis(millis)), text);
        }
        for day in 0..60_000 {
            assert_eq!(parse(&rfc3339(Millis(day * DAY_MS))), Ok(Millis(day * DAY_MS)));
        }
    }

    #[test]
    fn a_promise_is_rounded_up_and_what_happened_is_rounded_down() {
        for (millis, happened, promised) in [(5_000, 5, 5), (5_001, 5, 6), (5_999, 5, 6)] {
            assert_eq!(rfc3339(Millis(millis)), format!("1970-01-01T00:00:0{happened}Z"));
            assert_eq!(rfc3339_not_before(Millis(millis)), format!("1970-01-01T00:00:0{promised}Z"));
        }
    }

    #[test]
    fn offsets_and_fractions_are_read() {
        assert_eq!(parse("1970-01-01T02:00:00.5+02:00"), Ok(Millis(500)));
        assert_eq!(parse("1969-12-31t22:30:00.123456-01:30"), Ok(Millis(123)));
    }

    #[test]
    fn what_is_no_rfc_3339_time_is_refused() {
        for bad in [
            "",
            "2027-01-31",
            "2027-01-31T00:00:00",
            "2027-01-31 00:00:00Z",
            "2027-02-29T00:00:00Z",
            "2027-13-01T00:00:00Z",
            "2027-01-00T00:00:00Z",
            "2016-12-31T23:59:60Z",
            "2027-01-31T24:00:00Z",
            "10000-01-01T00:00:00Z",
            "+2027-01-31T00:00:00Z",
            "2027-01-31T00:00:00.Z",
            "2027-01-31T00:00:00+0200",
            "2027-01-31T00:00:00+24:00",
            "2027-01-31T00:00:00Zx",
            "1969-12-31T23:59:59Z",
            "9999-12-31T23:59:59-01:00",
            "２027-01-31T00:00:00Z",
        ] {
            assert_eq!(parse(bad), Err(TimeError), "{bad}");
        }
    }
}
