//! YAML of strangers as a tree: no aliases (a page of them can stand for gigabytes), no deep nesting, no more nodes than a real file has. The parser is
//! asked for one event after the other, because its own loader calls itself for each level.

use yaml_rust2::Event;
use yaml_rust2::parser::Parser;

/// Levels of nesting; go-ftw's files have eight.
const MAX_DEPTH: usize = 32;
/// Lists, maps and scalars in one file.
const MAX_NODES: usize = 200_000;

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// Text, a number, a word: as it is written.
    Scalar(String),
    /// A list.
    List(Vec<Node>),
    /// A map, in its order.
    Map(Vec<(Node, Node)>),
}

static NOTHING: Node = Node::List(Vec::new());

impl Node {
    /// What stands under a key; an empty list if there is nothing.
    pub fn get(&self, key: &str) -> &Node {
        let pairs = if let Self::Map(pairs) = self { pairs.as_slice() } else { &[] };
        pairs.iter().find(|(own, _)| own.text() == Some(key)).map_or(&NOTHING, |(_, value)| value)
    }

    /// The scalar; `null` is none.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Scalar(text) => Some(text),
            _ => None,
        }
    }

    /// The elements of a list.
    pub fn list(&self) -> &[Node] {
        if let Self::List(list) = self { list } else { &[] }
    }

    /// The pairs of a map whose keys and values are scalars.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        let pairs = if let Self::Map(pairs) = self { pairs.as_slice() } else { &[] };
        pairs.iter().filter_map(|(name, value)| Some((name.text()?, value.text()?)))
    }

    fn add(&mut self, node: Node) {
        match self {
            Self::List(list) => list.push(node),
            // The value of a key that waits for one, or a new key.
            Self::Map(pairs) => match pairs.last_mut() {
                Some((_, value)) if *value == WAITING => *value = node,
                _ => pairs.push((node, WAITING)),
            },
            Self::Scalar(_) => {}
        }
    }
}

/// Stands for the value of a key until it comes: no value is a map with a key that has none.
const WAITING: Node = Node::Map(Vec::new());

/// The first document.
///
/// # Errors
/// What is wrong with it, and in which line.
pub fn read(text: &str) -> Result<Node, String> {
    let mut parser = Parser::new_from_str(text);
    let (mut open, mut nodes) = (Vec::new(), 0_usize);
    loop {
        let (event, marker) = parser.next_token().map_err(|error| error.to_string())?;
        let wrong = |what: &str| Err(format!("line {}: {what}", marker.line()));
        let done = match event {
            Event::Alias(_) => return wrong("aliases (`*name`) are not read"),
            Event::SequenceStart(..) => {
                open.push(Node::List(Vec::new()));
                None
            }
            Event::MappingStart(..) => {
                open.push(Node::Map(Vec::new()));
                None
            }
            Event::Scalar(text, ..) => Some(Node::Scalar(text)),
            // An empty map must not look like a value that has not come.
            Event::SequenceEnd | Event::MappingEnd => {
                open.pop().map(|node| if node == WAITING { Node::List(Vec::new()) } else { node })
            }
            Event::StreamEnd | Event::DocumentEnd => return Ok(Node::List(Vec::new())),
            Event::Nothing | Event::StreamStart | Event::DocumentStart => continue,
        };
        nodes += 1;
        if nodes > MAX_NODES || open.len() > MAX_DEPTH {
            return wrong("this is too large or too deep for a file of tests");
        }
        let Some(node) = done else { continue };
        match open.last_mut() {
            Some(parent) => parent.add(node),
            None => return Ok(node),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn trees() {
        let root = read("a: 1\nb:\n  - x\n  - {}\n  - c: |\n      two\n      lines\nd: {e: 'f: g', h: }\n").unwrap();
        assert_eq!(root.get("a").text(), Some("1"));
        assert_eq!(root.get("b").list().len(), 3);
        assert_eq!(root.get("b").list().last().unwrap().get("c").text(), Some("two\nlines\n"));
        assert_eq!(root.get("d").pairs().collect::<Vec<_>>(), [("e", "f: g"), ("h", "")]);
        assert_eq!(root.get("nothing").get("at").text(), None);
    }

    #[test]
    fn what_strangers_write_costs_little() {
        let bomb = format!("a: &a [x]\n{}", "b: [*a, *a]\n");
        assert!(read(&bomb).unwrap_err().contains("aliases"));
        assert!(read(&"[".repeat(100_000)).is_err());
        assert!(read(&"- ".repeat(100_000)).is_err());
        assert!(read(&"- a\n".repeat(MAX_NODES + 1)).unwrap_err().contains("too large"));
        assert!(read("a: [").is_err());
        assert_eq!(read("").unwrap(), NOTHING);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[-\\[\\]{}:,&*!|>'\"a \n#?%@`~]{0,80}") {
            let _ = read(&text);
        }
    }
}
