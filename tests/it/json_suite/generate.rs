//! Bodies from a seed: valid ones with everything that JSON allows, and mangled ones.

/// A source of numbers that is the same everywhere (xorshift64*).
pub(super) struct Dice(u64);

/// The last three have half of a surrogate pair.
const STRINGS: [&str; 20] = [
    "",
    "a",
    "stream",
    "max_tokens",
    r"\u0061",
    r"m\u006fdel",
    r"\n\t\/\\",
    r#"\""#,
    "é",
    "🦀",
    r"\ud83e\udd80",
    "{",
    "]",
    r#",\"model\":"#,
    "a b",
    r"\u0000",
    "\u{feff}",
    r"\ud800",
    r"\udc00x",
    r"\ud800\ud800",
];
/// The last one has half of a surrogate pair.
const KEYS: [&str; 10] =
    ["model", "model", "model", r"mod\u0065l", "Model", "MODEL", "stream", "messages", "", r"\ud800"];
const NUMBERS: [&str; 22] = [
    "0",
    "-0",
    "-0.0",
    "1",
    "42",
    "-7",
    "1.5",
    "1e5",
    "1E-5",
    "1e+5",
    "1e400",
    "-1e400",
    "1e-400",
    "12345678901234567890",
    "-9223372036854775809",
    "0.1e1",
    "01",
    "1.",
    ".5",
    "+1",
    "1e",
    "NaN",
];
const SPACES: [&str; 9] = ["", "", "", "", " ", "\n", "\t", "\r\n", "  \n "];

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        // Neighbouring seeds must not begin alike, and none may be 0.
        Self(seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32
    }

    /// Below `n`.
    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.roll()).unwrap() % n
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }
}

/// The body of a seed. Half of them are mangled.
pub(super) fn body(seed: u64) -> Vec<u8> {
    let mut dice = Dice::new(seed);
    let mut text = String::new();
    space(&mut dice, &mut text);
    if dice.one_in(40) {
        value(&mut dice, &mut text, 3);
    } else {
        object(&mut dice, &mut text, 4, true);
    }
    space(&mut dice, &mut text);
    let mut body = text.into_bytes();
    if dice.one_in(2) {
        for _ in 0..=dice.below(3) {
            mangle(&mut dice, &mut body);
        }
    }
    body
}

fn value(dice: &mut Dice, text: &mut String, depth: usize) {
    match dice.below(if depth == 0 { 9 } else { 14 }) {
        0..3 => string(dice, text, &STRINGS),
        3..6 => number(dice, text),
        6 => text.push_str("true"),
        7 => text.push_str("false"),
        8 => text.push_str("null"),
        9..11 => array(dice, text, depth - 1),
        11 if dice.one_in(12) => nest(dice, text),
        _ => object(dice, text, depth - 1, false),
    }
}

fn object(dice: &mut Dice, text: &mut String, depth: usize, top: bool) {
    if top && dice.one_in(2_000) {
        let members = vec![r#""k": 1"#; 1_020 + dice.below(10)];
        text.push_str(&format!("{{{}}}", members.join(",")));
        return;
    }
    text.push('{');
    for n in 0..dice.below(6) {
        if n > 0 {
            text.push(',');
        }
        space(dice, text);
        key(dice, text);
        space(dice, text);
        text.push(':');
        space(dice, text);
        value(dice, text, depth);
        space(dice, text);
    }
    space(dice, text);
    text.push('}');
}

fn key(dice: &mut Dice, text: &mut String) {
    let hopeless = dice.one_in(100);
    if dice.one_in(4) {
        string(dice, text, &KEYS[..KEYS.len() - usize::from(!hopeless)]);
    } else {
        string(dice, text, &STRINGS[..STRINGS.len() - if hopeless { 0 } else { 3 }]);
    }
}

fn array(dice: &mut Dice, text: &mut String, depth: usize) {
    text.push('[');
    for n in 0..dice.below(5) {
        if n > 0 {
            text.push(',');
        }
        space(dice, text);
        value(dice, text, depth);
        space(dice, text);
    }
    text.push(']');
}

/// Arrays and objects in one another, about as deep as is allowed.
fn nest(dice: &mut Dice, text: &mut String) {
    let depth = 118 + dice.below(20);
    let arrays: Vec<bool> = (0..depth).map(|_| dice.one_in(2)).collect();
    arrays.iter().for_each(|&array| text.push_str(if array { "[" } else { r#"{"a":"# }));
    text.push('1');
    arrays.iter().rev().for_each(|&array| text.push(if array { ']' } else { '}' }));
}

fn string(dice: &mut Dice, text: &mut String, all: &[&str]) {
    text.push('"');
    text.push_str(dice.pick(all));
    text.push('"');
}

/// Mostly as JSON wants them: one that is not costs the whole body.
fn number(dice: &mut Dice, text: &mut String) {
    let usual = if dice.one_in(200) { NUMBERS.len() } else { 16 };
    text.push_str(dice.pick(&NUMBERS[..usual]));
    if dice.one_in(50) {
        text.push_str(&"9".repeat(dice.below(400)));
    }
}

fn space(dice: &mut Dice, text: &mut String) {
    text.push_str(dice.pick(&SPACES));
}

/// One byte flipped, some cut off, some put in, some said twice.
fn mangle(dice: &mut Dice, body: &mut Vec<u8>) {
    const BYTES: &[u8] = b"\"\\{}[],:0eE.-+ \n\x00\x1f\x7f\x80\xc3\xed\xf0\xffutn/";
    let at = dice.below(body.len().max(1));
    match dice.below(6) {
        0 if !body.is_empty() => body[at] ^= 1 << dice.below(8),
        1 => body.truncate(at),
        2 => body.insert(at.min(body.len()), BYTES[dice.below(BYTES.len())]),
        3 if !body.is_empty() => drop(body.remove(at)),
        4 => {
            let piece = body[at.min(body.len())..(at + dice.below(20)).min(body.len())].to_vec();
            body.splice(at..at, piece);
        }
        _ => body.extend_from_slice(&[b' ', BYTES[dice.below(BYTES.len())]][dice.below(2)..]),
    }
}
