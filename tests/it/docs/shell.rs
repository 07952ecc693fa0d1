//! As much of a shell's grammar as blocks of commands use.

/// The commands of a block, as words: without comments, redirections and the operators between them.
pub(super) fn commands(block: &str) -> Vec<Vec<String>> {
    let mut reader = Reader::default();
    let mut letters = block.chars().peekable();
    while let Some(letter) = letters.next() {
        match (reader.quote, letter) {
            (Some(quote), letter) if letter == quote => reader.quote = None,
            (Some(_), letter) => reader.push(letter),
            (None, '\'' | '"') => (reader.quote, reader.has_word) = (Some(letter), true),
            (None, '\\') => match letters.next() {
                Some('\n') | None => reader.end_word(),
                Some(letter) => reader.push(letter),
            },
            (None, '#') if !reader.has_word => while letters.next_if(|letter| *letter != '\n').is_some() {},
            (None, '\n' | '|' | ';' | '&') => reader.end_command(),
            (None, '>' | '<') => {
                reader.end_word();
                reader.is_target = true;
            }
            (None, letter) if letter.is_whitespace() => reader.end_word(),
            (None, letter) => reader.push(letter),
        }
    }
    reader.end_command();
    reader.commands
}

#[derive(Default)]
struct Reader {
    commands: Vec<Vec<String>>,
    words: Vec<String>,
    word: String,
    has_word: bool,
    quote: Option<char>,
    /// Whether the next word is the target of a redirection.
    is_target: bool,
}

impl Reader {
    fn push(&mut self, letter: char) {
        self.word.push(letter);
        self.has_word = true;
    }

    fn end_word(&mut self) {
        let word = std::mem::take(&mut self.word);
        if std::mem::take(&mut self.has_word) && !std::mem::take(&mut self.is_target) {
            self.words.push(word);
        }
    }

    fn end_command(&mut self) {
        self.end_word();
        let words = std::mem::take(&mut self.words);
        self.commands.extend(Some(words).filter(|words| !words.is_empty()));
    }
}

#[test]
fn commands_are_read_as_a_shell_reads_them() {
    let block = "A=1 make demo X=2 # words\nmodel-router a \\\n  --b 'c d' > file && envoy -c \"e\" &\n";
    let expected = [&["A=1", "make", "demo", "X=2"][..], &["model-router", "a", "--b", "c d"], &["envoy", "-c", "e"]];
    assert_eq!(commands(block), expected);
}
