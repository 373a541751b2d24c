//! Where words begin and end.

use std::ops::Range;

use icu_segmenter::WordSegmenter;
use icu_segmenter::options::WordBreakInvariantOptions;

/// Tells the ranges of the words of a text. White space always ends a word, so that each piece between is segmented by
/// itself, and the many that are ASCII without ICU.
pub(super) fn words(text: &str, each: &mut dyn FnMut(Range<usize>)) {
    let segmenter = WordSegmenter::new_dictionary(WordBreakInvariantOptions::default());
    let mut start = 0;
    for piece in text.split_inclusive(|c: char| c.is_ascii_whitespace()) {
        if piece.is_ascii() {
            ascii(piece.as_bytes(), &mut |range| each(start + range.start..start + range.end));
        } else {
            let mut last = 0;
            for end in segmenter.segment_str(piece) {
                if end > last {
                    word(piece, last..end, &mut |range| each(start + range.start..start + range.end));
                }
                last = end;
            }
        }
        start += piece.len();
    }
}

/// Runs of letters and digits, in lower case.
pub(super) fn simple(text: &str, each: &mut dyn FnMut(&str, u32, Range<usize>)) {
    let runs = text.split(|c: char| !c.is_alphanumeric()).filter(|run| !run.is_empty());
    for (run, position) in runs.zip(0..) {
        let start = run.as_ptr().addr() - text.as_ptr().addr();
        each(&run.to_lowercase(), position, start..start + run.len());
    }
}

/// The rules of UAX #29 for text that is ASCII (WB5 to WB13b).
fn ascii(text: &[u8], each: &mut dyn FnMut(Range<usize>)) {
    let class = |at: usize| text.get(at).copied().unwrap_or(b' ');
    let mut at = 0;
    while at < text.len() {
        if !in_word(text[at]) {
            at += 1;
            continue;
        }
        let start = at;
        loop {
            let (this, next, after) = (class(at), class(at + 1), class(at + 2));
            if in_word(next) {
                at += 1;
            } else if this.is_ascii_alphabetic() && b":.'".contains(&next) && after.is_ascii_alphabetic()
                || this.is_ascii_digit() && b",;.'".contains(&next) && after.is_ascii_digit()
            {
                at += 2;
            } else {
                break;
            }
        }
        at += 1;
        if text[start..at].iter().any(u8::is_ascii_alphanumeric) {
            each(start..at);
        }
    }
}

fn in_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// A segment of ICU: nothing if it has neither letters, digits nor emoji; bigrams for its runs of Hangul.
fn word(text: &str, segment: Range<usize>, each: &mut dyn FnMut(Range<usize>)) {
    let word = &text[segment.clone()];
    if !word.chars().any(|c| c.is_alphanumeric() || is_emoji(c)) {
        return;
    }
    if !word.chars().any(is_hangul) {
        return each(segment);
    }
    let mut rest = word;
    let mut start = segment.start;
    while let Some(first) = rest.chars().next() {
        let hangul = is_hangul(first);
        let len = rest.find(|c| is_hangul(c) != hangul).unwrap_or(rest.len());
        if hangul {
            bigrams(&rest[..len], start, each);
        } else if rest[..len].chars().any(|c| c.is_alphanumeric() || is_emoji(c)) {
            each(start..start + len);
        }
        start += len;
        rest = &rest[len..];
    }
}

/// Pairs of neighbouring characters; a single one stands alone.
fn bigrams(run: &str, start: usize, each: &mut dyn FnMut(Range<usize>)) {
    let ends: Vec<usize> = run.char_indices().map(|(at, c)| at + c.len_utf8()).collect();
    if let [only] = ends[..] {
        return each(start..start + only);
    }
    let mut from = 0;
    for pair in ends.windows(2) {
        each(start + from..start + pair[1]);
        from = pair[0];
    }
}

fn is_hangul(c: char) -> bool {
    matches!(c, '\u{1100}'..='\u{11ff}' | '\u{3130}'..='\u{318f}' | '\u{a960}'..='\u{a97f}'
        | '\u{ac00}'..='\u{d7ff}' | '\u{ffa0}'..='\u{ffdc}')
}

fn is_emoji(c: char) -> bool {
    matches!(c, '\u{2600}'..='\u{27bf}' | '\u{2b00}'..='\u{2bff}' | '\u{1f000}'..='\u{1faff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ascii_is_cut_as_icu_cuts_it(text in "[aZ09_:.,;' \"/#-]{0,12}") {
            let mut fast = Vec::new();
            words(&text, &mut |range| fast.push(range));
            let segmenter = WordSegmenter::new_dictionary(WordBreakInvariantOptions::default());
            let (mut slow, mut last) = (Vec::new(), 0);
            for end in segmenter.segment_str(&text) {
                word(&text, last..end, &mut |range| slow.push(range));
                last = end;
            }
            prop_assert_eq!(fast, slow);
        }
    }
}
