//! What the edge's WebAssembly is made of: the bytes of each crate's functions, by the names that a build of the same code keeps. `cargo xtask bench`
//! makes that build, which is the shipped one but for its names.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result, bail};

/// Bytes by where they come from, the most first.
pub fn shares(path: &Path) -> Result<Vec<(String, usize)>> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {} (`cargo xtask bench` makes it)", path.display()))?;
    of_module(&bytes).with_context(|| format!("cannot understand {}", path.display()))
}

fn of_module(bytes: &[u8]) -> Result<Vec<(String, usize)>> {
    let Some(rest) = bytes.strip_prefix(b"\0asm\x01\0\0\0") else { bail!("this is no WebAssembly") };
    let mut reader = Reader(rest);
    let (mut imported, mut bodies, mut names) = (0, Vec::new(), BTreeMap::new());
    let mut shares = BTreeMap::<String, usize>::new();
    while !reader.0.is_empty() {
        let id = reader.byte()?;
        let length = reader.number()?;
        let mut section = Reader(reader.take(length)?);
        match id {
            0 => {
                let name = section.text()?;
                if name == "name" {
                    names = function_names(&mut section)?;
                }
            }
            2 => {
                imported = imports(&mut section)?;
                *shares.entry(FRAME.into()).or_default() += length;
            }
            10 => bodies = functions(&mut section)?,
            11 => *shares.entry("data: texts, tables, constants".into()).or_default() += length,
            _ => *shares.entry(FRAME.into()).or_default() += length,
        }
    }
    if names.is_empty() {
        bail!("its functions have no names");
    }
    for (place, size) in bodies.into_iter().enumerate() {
        let name = names.get(&(imported + place)).map_or("", String::as_str);
        *shares.entry(crate_of(name)).or_default() += size;
    }
    let mut shares: Vec<(String, usize)> = shares.into_iter().collect();
    shares.sort_by_key(|(name, size)| (std::cmp::Reverse(*size), name.clone()));
    Ok(shares)
}

const FRAME: &str = "types, imports, exports";
const OTHERS: &str = "without a name";

/// The crate that a symbol belongs to, in either of the forms that compilers write.
fn crate_of(symbol: &str) -> String {
    let found = if let Some(rest) = symbol.strip_prefix("_R") { newer(rest) } else { symbol.strip_prefix("_ZN").and_then(older) };
    found.unwrap_or(OTHERS).to_owned()
}

/// `NtCsjqx8TIyZbP9_8dlmalloc8dlmalloc`: a crate is `C`, perhaps `s` with a number up to `_`, and a name after its length.
fn newer(symbol: &str) -> Option<&str> {
    symbol.match_indices('C').find_map(|(at, _)| {
        let rest = &symbol[at + 1..];
        let rest = match rest.strip_prefix('s') {
            Some(numbered) => numbered.split_once('_')?.1,
            None => rest,
        };
        counted(rest)
    })
}

/// `14keyward_shared8settings…`, or of an implementation `92_$LT$keyward_shared..record..Record$u20$as…`.
fn older(symbol: &str) -> Option<&str> {
    let first = counted(symbol)?;
    if !first.contains('$') {
        return Some(first);
    }
    let path = first.split('$').find(|part| part.contains(".."))?;
    path.split("..").next().map(|name| name.trim_start_matches('_'))
}

/// The text after its length.
fn counted(text: &str) -> Option<&str> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let length: usize = text[..digits].parse().ok()?;
    text.get(digits..digits + length).filter(|name| !name.is_empty())
}

fn function_names(section: &mut Reader<'_>) -> Result<BTreeMap<usize, String>> {
    let mut names = BTreeMap::new();
    while !section.0.is_empty() {
        let id = section.byte()?;
        let length = section.number()?;
        let mut part = Reader(section.take(length)?);
        if id == 1 {
            for _ in 0..part.number()? {
                let place = part.number()?;
                names.insert(place, part.text()?.to_owned());
            }
        }
    }
    Ok(names)
}

/// How many functions are imported.
fn imports(section: &mut Reader<'_>) -> Result<usize> {
    let mut functions = 0;
    for _ in 0..section.number()? {
        section.text()?;
        section.text()?;
        match section.byte()? {
            0 => {
                functions += 1;
                section.number()?;
            }
            1 => {
                section.byte()?;
                section.limits()?;
            }
            2 => section.limits()?,
            3 => drop(section.take(2)?),
            4 => {
                section.byte()?;
                section.number()?;
            }
            kind => bail!("an import of kind {kind}"),
        }
    }
    Ok(functions)
}

/// The size of each function.
fn functions(section: &mut Reader<'_>) -> Result<Vec<usize>> {
    let count = section.number()?;
    let mut sizes = Vec::with_capacity(count);
    for _ in 0..count {
        let before = section.0.len();
        let length = section.number()?;
        section.take(length)?;
        sizes.push(before - section.0.len());
    }
    Ok(sizes)
}

/// Bytes of a module, from the front.
struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn take(&mut self, length: usize) -> Result<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(length).context("it ends too early")?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8> {
        self.take(1)?.first().copied().context("it ends too early")
    }

    /// A number of seven bits a byte, the lowest first.
    fn number(&mut self) -> Result<usize> {
        let mut number = 0;
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            number |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        bail!("a number without end")
    }

    fn text(&mut self) -> Result<&'b str> {
        let length = self.number()?;
        Ok(str::from_utf8(self.take(length)?)?)
    }

    fn limits(&mut self) -> Result<()> {
        let has_end = self.byte()? & 1 == 1;
        self.number()?;
        if has_end {
            self.number()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_tells_its_crate() {
        for (symbol, name) in [
            ("_RNvMs0_NtCsjqx8TIyZbP9_8dlmalloc8dlmallocINtB5_8Dlmalloc", "dlmalloc"),
            ("_RNvMNtNtCsgXGp5Oqx2Ny_4core3net6parserNtB2_6Parser14read_ip", "core"),
            ("_ZN14keyward_shared8settings14CommonSettings4read17h987353acE", "keyward_shared"),
            (
                "_ZN92_$LT$keyward_shared..record..Record$u20$as$u20$keyward_shared..json..from_json..FromJson$GT$9from_json17hb4E",
                "keyward_shared",
            ),
            (
                "_ZN101_$LT$alloc..vec..Vec$LT$T$GT$$u20$as$u20$keyward_shared..json..FromJson$GT$9from_json0123456789012345678901234E",
                "alloc",
            ),
            ("memcpy", OTHERS),
            ("_ZN4cor", OTHERS),
        ] {
            assert_eq!(crate_of(symbol), name, "{symbol}");
        }
    }

    #[test]
    fn the_functions_of_a_module_are_added_up_by_crate() {
        let name = b"_ZN4sha26sha25611compress25617h3d178e3eb21cd97fE";
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        module.extend([10, 6, 1, 4, 0, 1, 1, 11]); // one function of five bytes with its length
        let mut part = vec![1, 0, u8::try_from(name.len()).unwrap()];
        part.extend(name);
        let mut names = b"\x04name\x01".to_vec();
        names.push(u8::try_from(part.len()).unwrap());
        names.extend(part);
        module.extend([0, u8::try_from(names.len()).unwrap()]);
        module.extend(names);
        assert_eq!(of_module(&module).unwrap(), [("sha2".to_owned(), 5)]);
        assert!(of_module(&module[..16]).is_err() && of_module(b"text").is_err());
        assert!(of_module(&module[..module.len() - 2]).is_err(), "it ends too early");
    }
}
