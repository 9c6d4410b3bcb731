//! JSON with a line for each property of a resource, and what is deeper on that line: half the bytes of the usual form,
//! and only templates of up to 51,200 bytes go without S3.

use std::io::{self, Write};

use serde::Serialize as _;
use serde_json::{
    Serializer, Value,
    ser::{CompactFormatter, Formatter},
};

/// The text, with a line end at its end.
pub(super) fn print(value: &Value) -> String {
    let mut bytes = Vec::new();
    let written = value.serialize(&mut Serializer::with_formatter(&mut bytes, Lines::default()));
    debug_assert!(written.is_ok(), "a vector takes whatever is written");
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    text.push('\n');
    text
}

#[derive(Debug, Default)]
struct Lines {
    depth: usize,
}

impl Lines {
    /// What stands before an element: a comma unless it is the first, and its own line where it has one.
    fn next<W: ?Sized + Write>(&self, writer: &mut W, first: First) -> io::Result<()> {
        match first {
            First::Yes => {}
            First::No => writer.write_all(b",")?,
        }
        if self.depth <= DEEPEST {
            writer.write_all(b"\n")?;
            return writer.write_all(" ".repeat(self.depth).as_bytes());
        }
        match first {
            First::Yes => Ok(()),
            First::No => writer.write_all(b" "),
        }
    }

    fn close<W: ?Sized + Write>(&mut self, writer: &mut W, bracket: &[u8]) -> io::Result<()> {
        if self.depth <= DEEPEST {
            writer.write_all(b"\n")?;
            writer.write_all(" ".repeat(self.depth.saturating_sub(1)).as_bytes())?;
        }
        self.depth = self.depth.saturating_sub(1);
        writer.write_all(bracket)
    }
}

#[derive(Clone, Copy)]
enum First {
    Yes,
    No,
}

impl From<bool> for First {
    fn from(first: bool) -> Self {
        if first { Self::Yes } else { Self::No }
    }
}

impl Formatter for Lines {
    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth += 1;
        CompactFormatter.begin_array(writer)
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.close(writer, b"]")
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.next(writer, first.into())
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth += 1;
        CompactFormatter.begin_object(writer)
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.close(writer, b"}")
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.next(writer, first.into())
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

/// Template, section, resource, its `Properties`: each element of these has a line.
const DEEPEST: usize = 4;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::print;

    #[test]
    fn the_text_reads_back() {
        let value =
            json!({ "Resources": { "A": { "Properties": { "List": [1, { "x": [] }], "Text": "a\n" } } }, "e": {} });
        let text = print(&value);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).expect("JSON"), value);
        assert!(text.contains("\n    \"List\": [1, {\"x\": []}],\n    \"Text\": \"a\\n\"\n   }\n"), "{text}");
    }
}
