//! Enough CBOR (RFC 8949) to read what the SDK writes and to write an error.

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Number(f64),
    Text(String),
    List(Vec<Self>),
    Map(Vec<(Self, Self)>),
    Other,
}

impl Value {
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let mut reader = Reader { bytes, at: 0 };
        let value = reader.value().expect("a value");
        assert_eq!(reader.at, bytes.len(), "nothing behind it");
        value
    }

    pub(crate) fn field(&self, name: &str) -> Option<&Self> {
        let Self::Map(fields) = self else { return None };
        fields.iter().find(|(key, _)| *key == Self::Text(name.to_owned())).map(|(_, value)| value)
    }

    pub(crate) fn text(&self) -> &str {
        let Self::Text(text) = self else { panic!("{self:?} is no text") };
        text
    }

    pub(crate) fn number(&self) -> f64 {
        let Self::Number(number) = self else { panic!("{self:?} is no number") };
        *number
    }

    pub(crate) fn list(&self) -> &[Self] {
        let Self::List(list) = self else { panic!("{self:?} is no list") };
        list
    }
}

/// A map of texts.
pub(crate) fn map(fields: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| {
        let length = u16::try_from(text.len()).expect("short");
        [&[0x79][..], &length.to_be_bytes(), text.as_bytes()].concat()
    };
    let fields = fields.iter().flat_map(|(name, value)| [text(name), text(value)].concat());
    [0xbf].into_iter().chain(fields).chain([0xff]).collect()
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn take(&mut self, count: usize) -> &[u8] {
        let taken = &self.bytes[self.at..self.at + count];
        self.at += count;
        taken
    }

    fn argument(&mut self, small: u8) -> Option<u64> {
        let size = match small {
            0..=23 => return Some(u64::from(small)),
            24..=27 => 1 << (small - 24),
            31 => return None,
            _ => panic!("reserved"),
        };
        Some(self.take(size).iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// `None`: the end of something of indefinite length.
    fn value(&mut self) -> Option<Value> {
        let first = self.take(1)[0];
        let (major, small) = (first >> 5, first & 31);
        if first == 0xff {
            return None;
        }
        let argument = self.argument(small);
        Some(match major {
            0 => Value::Number(argument? as f64),
            1 => Value::Number(-1.0 - argument? as f64),
            2 | 3 => {
                let bytes = self.take(usize::try_from(argument.expect("definite")).expect("small")).to_vec();
                Value::Text(String::from_utf8_lossy(&bytes).into_owned())
            }
            4 => Value::List(self.items(argument)),
            5 => {
                let flat = self.items(argument.map(|pairs| pairs * 2));
                Value::Map(flat.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect())
            }
            6 => return self.value(),
            _ => match small {
                26 => Value::Number(f64::from(f32::from_bits(u32::try_from(argument?).expect("32 bits")))),
                27 => Value::Number(f64::from_bits(argument?)),
                _ => Value::Other,
            },
        })
    }

    fn items(&mut self, count: Option<u64>) -> Vec<Value> {
        match count {
            Some(count) => (0..count).map(|_| self.value().expect("an item")).collect(),
            None => std::iter::from_fn(|| self.value()).collect(),
        }
    }
}
