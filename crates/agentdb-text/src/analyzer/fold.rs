//! Making equal what a reader takes for equal: compatibility forms, case, diacritics.

use std::borrow::Cow;

use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};

/// Compatibility forms composed (NFKC), in lower case.
pub(super) fn lower(word: &str) -> Cow<'_, str> {
    if word.is_ascii() {
        return match word.bytes().any(|b| b.is_ascii_uppercase()) {
            true => Cow::Owned(word.to_ascii_lowercase()),
            false => Cow::Borrowed(word),
        };
    }
    let nfkc = ComposingNormalizerBorrowed::new_nfkc();
    let lower = nfkc.normalize(word).to_lowercase();
    Cow::Owned(nfkc.normalize(&lower).into_owned())
}

/// Without what readers of the script take for an ornament of the letter; `й`, kana with voicing marks and the vowel
/// signs of Indic scripts stay, being letters of their own.
pub(super) fn unaccent(word: &str) -> Cow<'_, str> {
    if word.is_ascii() {
        return Cow::Borrowed(word);
    }
    let mut out = String::with_capacity(word.len());
    let mut base = ' ';
    for c in DecomposingNormalizerBorrowed::new_nfd().normalize(word).chars() {
        if is_mark(c) {
            if base == 'и' && c == '\u{306}' {
                out.push(c);
            }
            continue;
        }
        base = c;
        match plain(c) {
            Some(plain) => out.push_str(plain),
            None => out.push(c),
        }
    }
    // A word of marks alone stays what it is, so that it is not lost.
    if out.is_empty() {
        return Cow::Borrowed(word);
    }
    Cow::Owned(ComposingNormalizerBorrowed::new_nfc().normalize(&out).into_owned())
}

/// Combining marks of Latin, Greek and Cyrillic, selectors of emoji, points of Hebrew and Arabic.
fn is_mark(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{fe20}'..='\u{fe2f}'
        | '\u{591}'..='\u{5bd}' | '\u{5bf}' | '\u{5c1}' | '\u{5c2}' | '\u{5c4}' | '\u{5c5}' | '\u{5c7}'
        | '\u{610}'..='\u{61a}' | '\u{640}' | '\u{64b}'..='\u{65f}' | '\u{670}')
}

/// Letters that Unicode does not decompose.
fn plain(c: char) -> Option<&'static str> {
    Some(match c {
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'ø' => "o",
        'đ' | 'ð' => "d",
        'ħ' => "h",
        'ı' => "i",
        'ł' => "l",
        'þ' => "th",
        'ŧ' => "t",
        'ς' => "σ",
        _ => return None,
    })
}
