//! The state folder: everything that outlives a process. Secrets are drawn once; the operator's bootstrap key is never kept, only its digest.
//! One program at a time uses a folder; what lies in `objects/` and `kv.sqlite` is the runtime's and the KV service's business.

use std::{
    collections::BTreeMap,
    env, fmt,
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use keyward_shared::mint;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use thiserror::Error;

use crate::identity_key;

/// The secrets that every deployment needs and that are 32 random bytes each.
const DRAWN: [&str; 4] = ["TAG_SECRETS", "RECORD_SECRETS", "SESSION_SECRETS", "WEBHOOK_SECRETS"];
/// The setting whose secrets are JWKs.
pub(crate) const IDENTITY_KEYS: &str = "IDENTITY_KEYS";

/// The folder cannot be used.
#[derive(Debug, Error)]
pub enum StateError {
    /// Another program uses it.
    #[error("{0} is in use: Keyward already runs on this state folder (stop it, or choose another folder)")]
    InUse(PathBuf),
    /// The system refuses.
    #[error("the state folder: {path}: {error}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A file there is not what it should be.
    #[error("the state folder: {path} is damaged: {error}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: serde_json::Error,
    },
    /// No random numbers.
    #[error(transparent)]
    NoRandomness(#[from] mint::NoRandomness),
}

/// A folder that is locked for this program until it is dropped.
#[derive(Debug)]
pub struct StateFolder {
    path: PathBuf,
    lock: File,
    secrets: Secrets,
    temporary: bool,
}

/// Lists of secrets by the setting they belong to, newest first. `Debug` shows none of them.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secrets(BTreeMap<String, Vec<String>>);

impl Secrets {
    /// The setting's value: its secrets, comma-separated; JWKs are a list in JSON.
    pub fn setting(&self, name: &str) -> String {
        let list = self.0.get(name).map(|list| list.join(",")).unwrap_or_default();
        if name == IDENTITY_KEYS { format!("[{list}]") } else { list }
    }

    /// The settings for which there are secrets.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({} redacted)", self.0.len())
    }
}

/// What is known of the operator's bootstrap key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bootstrap {
    /// Its digest, in hexadecimal.
    pub digest: String,
    /// Whether the key has been shown. Until then nobody has it, and another may take its place.
    pub shown: bool,
}

impl StateFolder {
    /// Opens the folder at `path`, made and filled with secrets where it is new.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        Self::open_as(path, false)
    }

    /// A new folder that is removed when this is dropped: for tests.
    pub fn temporary() -> Result<Self, StateError> {
        Self::open_as(&env::temp_dir().join(format!("keyward-{}", random_hex::<8>()?)), true)
    }

    fn open_as(path: &Path, temporary: bool) -> Result<Self, StateError> {
        make_folder(path)?;
        let path = path.canonicalize().map_err(|error| io_error(path, error))?;
        let lock = lock(&path)?;
        for folder in ["objects", "run", "log"] {
            make_folder(&path.join(folder))?;
        }
        let secrets = load_secrets(&path.join("secrets.json"))?;
        Ok(Self { path, lock, secrets, temporary })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The deployment's secrets.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// The Durable Objects' folder.
    pub fn objects(&self) -> PathBuf {
        self.path.join("objects")
    }

    /// The KV service's file.
    pub fn kv(&self) -> PathBuf {
        self.path.join("kv.sqlite")
    }

    /// The log of the process `name`.
    pub fn log(&self, name: &str) -> PathBuf {
        self.path.join("log").join(format!("{name}.log"))
    }

    /// The folder for what belongs to running processes.
    pub fn run(&self) -> PathBuf {
        self.path.join("run")
    }

    /// Writes a file that only this user can read into [`Self::run`].
    pub fn write_run_file(&self, name: &str, contents: &str) -> Result<PathBuf, StateError> {
        let path = self.run().join(name);
        write_private(&path, contents.as_bytes())?;
        Ok(path)
    }

    /// What is known of the bootstrap key.
    pub fn bootstrap(&self) -> Result<Option<Bootstrap>, StateError> {
        read_json(&self.path.join("bootstrap.json"))
    }

    /// Remembers the bootstrap key.
    pub fn set_bootstrap(&self, bootstrap: &Bootstrap) -> Result<(), StateError> {
        write_json(&self.path.join("bootstrap.json"), bootstrap)
    }
}

impl Drop for StateFolder {
    fn drop(&mut self) {
        if self.temporary {
            // Nobody is left to tell; the system empties its folder for temporary files.
            let _ = fs::remove_dir_all(&self.path);
        }
        let _ = self.lock.unlock();
    }
}

/// `BYTES` random bytes in hexadecimal.
pub(crate) fn random_hex<const BYTES: usize>() -> Result<String, mint::NoRandomness> {
    let mut random = [0; BYTES];
    mint::fill(&mut random)?;
    Ok(hex::encode(random))
}

fn make_folder(path: &Path) -> Result<(), StateError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| io_error(path, error))
}

fn lock(folder: &Path) -> Result<File, StateError> {
    let path = folder.join("lock");
    let file = File::create(&path).map_err(|error| io_error(&path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StateError::InUse(folder.to_path_buf())),
        Err(TryLockError::Error(error)) => Err(io_error(&path, error)),
    }
}

fn load_secrets(path: &Path) -> Result<Secrets, StateError> {
    let mut secrets: Secrets = read_json(path)?.unwrap_or(Secrets(BTreeMap::new()));
    let missing: Vec<&str> = DRAWN.into_iter().chain([IDENTITY_KEYS]).filter(|name| !secrets.0.contains_key(*name)).collect();
    for name in &missing {
        let secret = if *name == IDENTITY_KEYS { identity_key::draw()? } else { random_hex::<32>()? };
        secrets.0.insert((*name).to_owned(), vec![secret]);
    }
    if !missing.is_empty() {
        write_json(path, &secrets)?;
    }
    Ok(secrets)
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, StateError> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| StateError::Damaged { path: path.to_path_buf(), error }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_error(path, error)),
    }
}

/// Writes a whole new file and puts it in the old one's place: a crash leaves one or the other.
fn write_json(path: &Path, value: &impl Serialize) -> Result<(), StateError> {
    let mut text = serde_json::to_vec_pretty(value).map_err(|error| StateError::Damaged { path: path.to_path_buf(), error })?;
    text.push(b'\n');
    let new = path.with_extension("new");
    write_private(&new, &text)?;
    fs::rename(&new, path).map_err(|error| io_error(path, error))
}

fn write_private(path: &Path, contents: &[u8]) -> Result<(), StateError> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.write_all(contents)?;
        file.sync_all()
    };
    write().map_err(|error| io_error(path, error))
}

fn io_error(path: &Path, error: io::Error) -> StateError {
    StateError::Io { path: path.to_path_buf(), error }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn secrets_are_drawn_once_kept_and_readable_by_the_user_alone() {
        let place = StateFolder::temporary().unwrap();
        let path = place.path().join("inner");
        let first = StateFolder::open(&path).unwrap();
        let secret = first.secrets().setting("TAG_SECRETS");
        assert_eq!(secret.len(), 64);
        assert_ne!(secret, first.secrets().setting("RECORD_SECRETS"));
        assert!(!format!("{first:?}").contains(&secret));
        let mode = |name: &str| fs::metadata(path.join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("secrets.json"), mode("")), (0o600, 0o700));
        drop(first);
        assert_eq!(StateFolder::open(&path).unwrap().secrets().setting("TAG_SECRETS"), secret);
    }

    #[test]
    fn a_folder_from_before_there_were_identities_gets_a_key_for_them_and_keeps_the_rest() {
        let place = StateFolder::temporary().unwrap();
        let path = place.path().join("inner");
        let secret = StateFolder::open(&path).unwrap().secrets().setting("TAG_SECRETS");
        let mut secrets: BTreeMap<String, Vec<String>> = read_json(&path.join("secrets.json")).unwrap().unwrap();
        secrets.remove(IDENTITY_KEYS).unwrap();
        write_json(&path.join("secrets.json"), &secrets).unwrap();
        let first = StateFolder::open(&path).unwrap().secrets().clone();
        assert_eq!(first.setting("TAG_SECRETS"), secret);
        let keys: serde_json::Value = serde_json::from_str(&first.setting(IDENTITY_KEYS)).unwrap();
        assert_eq!((keys.as_array().unwrap().len(), &keys[0]["kty"]), (1, &"EC".into()));
        assert_eq!(StateFolder::open(&path).unwrap().secrets().setting(IDENTITY_KEYS), first.setting(IDENTITY_KEYS));
    }

    #[test]
    fn a_folder_in_use_is_refused_with_its_name() {
        let folder = StateFolder::temporary().unwrap();
        let message = StateFolder::open(folder.path()).unwrap_err().to_string();
        assert!(message.contains("is in use") && message.contains(folder.path().to_str().unwrap()), "{message}");
    }

    #[test]
    fn a_damaged_file_is_named_and_not_overwritten() {
        let place = StateFolder::temporary().unwrap();
        let path = place.path().join("inner");
        drop(StateFolder::open(&path).unwrap());
        fs::write(path.join("secrets.json"), "{").unwrap();
        let message = StateFolder::open(&path).unwrap_err().to_string();
        assert!(message.contains("secrets.json is damaged"), "{message}");
        assert_eq!(fs::read_to_string(path.join("secrets.json")).unwrap(), "{");
    }

    #[test]
    fn a_temporary_folder_leaves_nothing_behind() {
        let folder = StateFolder::temporary().unwrap();
        let path = folder.path().to_path_buf();
        assert!(path.join("secrets.json").is_file());
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn the_bootstrap_digest_is_remembered() {
        let folder = StateFolder::temporary().unwrap();
        assert_eq!(folder.bootstrap().unwrap(), None);
        let known = Bootstrap { digest: "ab".repeat(32), shown: false };
        folder.set_bootstrap(&known).unwrap();
        assert_eq!(folder.bootstrap().unwrap(), Some(known));
    }
}
