//! Counters and gauges. Each process declares its own table once, beside its code, with [`crate::figures!`]; the status
//! answer, the page for Prometheus and the documentation come from that table.

use std::cell::Cell;
use std::rc::Rc;

use super::exposition::Page;

/// One figure. Clones share the value; there is one thread, so nothing is atomic.
#[derive(Debug, Clone, Default)]
pub struct Figure(Rc<Cell<u64>>);

impl Figure {
    /// One more.
    pub fn up(&self) {
        self.add(1);
    }

    /// One less; never below 0.
    pub fn down(&self) {
        self.0.set(self.0.get().saturating_sub(1));
    }

    /// So many more.
    pub fn add(&self, more: u64) {
        self.0.set(self.0.get().saturating_add(more));
    }

    /// Exactly so many.
    pub fn set(&self, value: u64) {
        self.0.set(value);
    }

    /// The value.
    pub fn get(&self) -> u64 {
        self.0.get()
    }

    /// One more for as long as the returned guard lives.
    pub fn hold(&self) -> Held {
        self.up();
        Held(self.clone())
    }
}

/// See [`Figure::hold`].
#[derive(Debug)]
pub struct Held(Figure);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.down();
    }
}

/// What the status answer and the page for Prometheus need of a table made by [`crate::figures!`].
pub trait Figures: 'static {
    /// Name and value, in the order of the table.
    fn read(&self) -> Vec<(Box<str>, u64)>;

    /// Names and meanings, in the same order.
    fn table(&self) -> &'static [(&'static str, &'static str)];

    /// Figures with labels, beside the table.
    fn families(&self, _page: &mut Page) {}
}

/// Declares a table of figures: a struct with one [`Figure`] per line, its names, and what they mean. A meaning that says
/// "now" makes a gauge, every other one a counter. `with name: Type` adds a field whose [`Families`] have labels.
#[macro_export]
macro_rules! figures {
    ($(#[$doc:meta])* $visibility:vis struct $name:ident $(with $extra:ident: $kind:ty)? { $($field:ident: $help:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default)]
        $visibility struct $name {
            $(#[doc = $help] pub $field: $crate::observe::metrics::Figure,)*
            $(/// Figures with labels.
            pub $extra: $kind,)?
        }

        impl $name {
            /// Names and meanings, in order.
            pub const TABLE: &'static [(&'static str, &'static str)] = &[$((stringify!($field), $help),)*];

            /// All of them, in order.
            #[allow(dead_code)] // not every table is walked
            pub fn all(&self) -> Vec<&$crate::observe::metrics::Figure> {
                vec![$(&self.$field,)*]
            }
        }

        impl $crate::observe::metrics::Figures for $name {
            fn read(&self) -> Vec<(Box<str>, u64)> {
                vec![$((stringify!($field).into(), self.$field.get()),)*]
            }

            fn table(&self) -> &'static [(&'static str, &'static str)] {
                Self::TABLE
            }

            $(fn families(&self, page: &mut $crate::observe::exposition::Page) {
                $crate::observe::metrics::Families::families(&self.$extra, page);
            })?
        }
    };
}

/// Figures with labels. Labels come from the configuration, never from clients.
pub trait Families {
    /// Writes all of them.
    fn families(&self, page: &mut Page);
}

/// Whether a figure goes up and down: its meaning says "now".
#[must_use]
pub fn is_gauge(meaning: &str) -> bool {
    meaning.split(|character: char| !character.is_alphanumeric()).any(|word| word == "now")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;

    figures! {
        /// For the test.
        struct Sample {
            accepted: "connections accepted",
            open: "connections open now",
        }
    }

    #[test]
    fn a_table_is_read_in_its_own_order_and_guards_give_back() {
        let sample = Sample::default();
        sample.accepted.add(2);
        let guard = sample.open.hold();
        assert_eq!(sample.read(), [("accepted".into(), 2), ("open".into(), 1)]);
        drop(guard);
        sample.open.down();
        assert_eq!(sample.open.get(), 0);
        assert_eq!(Sample::TABLE[0], ("accepted", "connections accepted"));
        assert_eq!(Sample::TABLE.iter().map(|(_, help)| is_gauge(help)).collect::<Vec<_>>(), [false, true]);
        assert!(is_gauge("connections held now; of them") && !is_gauge("nowhere"));
        assert_eq!(sample.all().len(), Sample::TABLE.len());
    }
}
