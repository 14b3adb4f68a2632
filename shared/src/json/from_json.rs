//! What is read from JSON, and how: by the same rules as what `serde` derives for the control plane.

use core::net::IpAddr;
use std::collections::BTreeMap;

use super::{Fault, Reader};

/// A type that is read from JSON.
pub trait FromJson: Sized {
    /// Reads one value.
    fn from_json(reader: &mut Reader<'_>) -> Result<Self, Fault>;
}

/// How a struct is read: its members by their names. Those behind `or default` may be absent; other members are passed over, or
/// refused (`strict`).
#[macro_export]
macro_rules! json_object {
    ($type:ty { $($name:ident),* $(; or default $($optional:ident),*)? } passing over others) => {
        $crate::json_object!(@ true, $type { $($name),* $(; $($optional),*)? });
    };
    ($type:ty { $($name:ident),* $(; or default $($optional:ident),*)? } strict) => {
        $crate::json_object!(@ false, $type { $($name),* $(; $($optional),*)? });
    };
    (@ $others:literal, $type:ty { $($name:ident),* $(; $($optional:ident),*)? }) => {
        impl $crate::json::FromJson for $type {
            fn from_json(reader: &mut $crate::json::Reader<'_>) -> Result<Self, $crate::json::Fault> {
                $(let mut $name = None;)*
                $($(let mut $optional = None;)*)?
                reader.object(&mut |reader, name| match name {
                    $(stringify!($name) => reader.member(&mut $name),)*
                    $($(stringify!($optional) => reader.member(&mut $optional),)*)?
                    _ => reader.unknown($others),
                })?;
                Ok(Self {
                    $($name: $name.ok_or($crate::json::Fault::MissingField(stringify!($name)))?,)*
                    $($($optional: $optional.unwrap_or_default(),)*)?
                })
            }
        }
    };
}

/// How an enum without content is read: each variant by its name.
#[macro_export]
macro_rules! json_words {
    ($type:ty { $($word:literal => $variant:ident),* $(,)? }) => {
        impl $crate::json::FromJson for $type {
            fn from_json(reader: &mut $crate::json::Reader<'_>) -> Result<Self, $crate::json::Fault> {
                reader.text(|text| match text {
                    $($word => Some(Self::$variant),)*
                    _ => None,
                })
            }
        }
    };
}

/// How types are read that are written as text: by a function that checks it.
#[macro_export]
macro_rules! json_text {
    ($($type:ty: $read:expr),* $(,)?) => {
        $(impl $crate::json::FromJson for $type {
            fn from_json(reader: &mut $crate::json::Reader<'_>) -> Result<Self, $crate::json::Fault> {
                reader.text(|text| $read(text).ok())
            }
        })*
    };
}

json_text!(String: |text: &str| Ok::<_, Fault>(text.to_owned()), IpAddr: str::parse);

macro_rules! numbers {
    ($($type:ty)*) => {
        $(impl FromJson for $type {
            fn from_json(reader: &mut Reader<'_>) -> Result<Self, Fault> {
                reader.number()?.try_into().map_err(|_| Fault::Value)
            }
        })*
    };
}

numbers!(u8 u16 u32 u64);

impl FromJson for bool {
    fn from_json(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        if reader.word("true") {
            Ok(true)
        } else if reader.word("false") {
            Ok(false)
        } else {
            Err(reader.other())
        }
    }
}

impl<T: FromJson> FromJson for Option<T> {
    fn from_json(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        if reader.word("null") { Ok(None) } else { T::from_json(reader).map(Some) }
    }
}

impl<T: FromJson> FromJson for Box<T> {
    fn from_json(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        T::from_json(reader).map(Self::new)
    }
}

impl<T: FromJson> FromJson for Vec<T> {
    fn from_json(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        let mut list = Self::new();
        reader.list(&mut |reader| {
            list.push(T::from_json(reader)?);
            Ok(())
        })?;
        Ok(list)
    }
}

/// A list of exactly two.
impl<A: FromJson, B: FromJson> FromJson for (A, B) {
    fn from_json(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        let (mut a, mut b) = (None, None);
        reader.list(&mut |reader| {
            match (&a, &b) {
                (None, _) => a = Some(A::from_json(reader)?),
                (_, None) => b = Some(B::from_json(reader)?),
                _ => return Err(Fault::Value),
            }
            Ok(())
        })?;
        a.zip(b).ok_or(Fault::Value)
    }
}

/// Of a name that stands more than once the last value counts.
impl<T: FromJson> FromJson for BTreeMap<String, T> {
    fn from_json(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        let mut map = Self::new();
        reader.object(&mut |reader, name| {
            let mut value = None;
            reader.member(&mut value)?;
            map.extend(value.map(|value| (name.to_owned(), value)));
            Ok(())
        })?;
        Ok(map)
    }
}

/// Any value, passed over.
impl FromJson for () {
    fn from_json(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        reader.skip().map(drop)
    }
}
