//! Credentials that were checked lately and were right, so that the next request costs a hash and not a password check.
//!
//! Kept is a SHA-256 over a random key of this process and the credentials, so neither a memory dump nor a timing of the
//! table's look-up tells anything about a password. Bounded in number and age: who loses the password file's blessing
//! (a restart with a new file) starts anew anyway.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::basic::Credentials;

/// Credentials remembered at a time.
pub const MAX_REMEMBERED: usize = 4096;
/// How long they are good without a new check.
pub const GOOD_FOR: Duration = Duration::from_secs(300);

/// Stands for one user with one password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tag([u8; 32]);

/// The table.
pub struct Recent {
    key: [u8; 32],
    good: HashMap<Tag, (Arc<str>, Instant)>,
}

impl std::fmt::Debug for Recent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recent").field("remembered", &self.good.len()).finish_non_exhaustive()
    }
}

impl Recent {
    /// An empty table with a key of its own.
    ///
    /// # Errors
    /// The kernel gives no random bytes.
    pub fn new() -> Result<Self, getrandom::Error> {
        let mut key = [0; 32];
        getrandom::fill(&mut key)?;
        Ok(Self { key, good: HashMap::new() })
    }

    /// The name under which these credentials are remembered.
    #[must_use]
    pub fn tag(&self, credentials: &Credentials) -> Tag {
        let mut hash = Sha256::new();
        hash.update(self.key);
        // With its length in front no user and password can be taken for another pair.
        hash.update(u64::try_from(credentials.user.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(credentials.user.as_bytes());
        hash.update(credentials.password.as_bytes());
        Tag(hash.finalize().into())
    }

    /// The user, if these credentials were found right not long ago.
    pub fn recall(&mut self, tag: &Tag, now: Instant) -> Option<Arc<str>> {
        let (user, since) = self.good.get(tag)?;
        if now.saturating_duration_since(*since) >= GOOD_FOR {
            self.good.remove(tag);
            return None;
        }
        Some(Arc::clone(user))
    }

    /// They were found right just now.
    pub fn remember(&mut self, tag: Tag, user: Arc<str>, now: Instant) {
        if self.good.len() >= MAX_REMEMBERED {
            self.good.retain(|_, (_, since)| now.saturating_duration_since(*since) < GOOD_FOR);
        }
        if self.good.len() >= MAX_REMEMBERED
            && let Some(oldest) = self.good.iter().min_by_key(|(_, (_, since))| *since).map(|(tag, _)| *tag)
        {
            self.good.remove(&oldest);
        }
        self.good.insert(tag, (user, now));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn tag(recent: &Recent, user: &str, password: &str) -> Tag {
        recent.tag(&Credentials { user: user.into(), password: password.to_owned() })
    }

    #[test]
    fn remembered_for_a_while_and_only_as_a_whole() {
        let mut recent = Recent::new().unwrap();
        let now = Instant::now();
        let ada = tag(&recent, "ada", "open");
        recent.remember(ada, "ada".into(), now);
        assert_eq!(recent.recall(&ada, now).as_deref(), Some("ada"));
        for (user, password) in [("ada", "opem"), ("ad", "aopen"), ("adao", "pen"), ("", "adaopen")] {
            let other = tag(&recent, user, password);
            assert_eq!(recent.recall(&other, now), None, "{user} {password}");
        }
        assert_eq!(recent.recall(&ada, now + GOOD_FOR), None);
        assert_ne!(ada, tag(&Recent::new().unwrap(), "ada", "open"), "every process has its own key");
    }

    #[test]
    fn the_oldest_goes_when_the_table_is_full() {
        let mut recent = Recent::new().unwrap();
        let start = Instant::now();
        let first = tag(&recent, "0", "");
        for number in 0..=MAX_REMEMBERED {
            let at = start + Duration::from_micros(u64::try_from(number).unwrap());
            recent.remember(tag(&recent, &number.to_string(), ""), "x".into(), at);
        }
        assert_eq!(recent.good.len(), MAX_REMEMBERED);
        assert_eq!(recent.recall(&first, start), None);
    }
}
