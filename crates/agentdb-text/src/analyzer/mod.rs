//! From a text to the terms that stand for it, with their positions and their places in the original.

mod fold;
mod stop_words;
mod words;

use std::collections::HashSet;
use std::ops::Range;
use std::sync::OnceLock;

use frostem::Algorithm;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! analyzers {
    ($($language:ident),*) => {
        /// How the text of a field becomes terms. What is searched for is analysed like what was indexed.
        ///
        /// No word is left out for its length: a term is kept whole, however long it is.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum Analyzer {
            /// For text of any language, mixed too: words by Unicode (UAX #29), Chinese and Japanese ones by ICU's
            /// dictionary, runs of Hangul as bigrams of syllables, emoji as words of their own; compatibility forms
            /// (NFKC) and case made equal, diacritics folded.
            #[default]
            Standard,
            /// Runs of letters and digits, in lower case.
            Simple,
            /// What stands between white space, unchanged.
            Whitespace,
            /// The whole text as one term, unchanged. An empty text has no term.
            Keyword,
            $(
                #[doc = concat!("`standard`, without the stop words of ", stringify!($language),
                    " if there is a list of them, stemmed by Snowball before diacritics are folded.")]
                $language,
            )*
        }

        impl Analyzer {
            /// All analyzers.
            pub const ALL: &'static [Analyzer] = &[
                Analyzer::Standard, Analyzer::Simple, Analyzer::Whitespace, Analyzer::Keyword,
                $(Analyzer::$language,)*
            ];

            fn algorithm(self) -> Option<Algorithm> {
                match self {
                    $(Analyzer::$language => Some(Algorithm::$language),)*
                    _ => None,
                }
            }
        }
    };
}

analyzers!(
    Arabic, Armenian, Basque, Catalan, Czech, Danish, Dutch, English, Estonian, Finnish, French, German,
    Greek, Hindi, Hungarian, Indonesian, Irish, Italian, Lithuanian, Nepali, Norwegian, Persian, Polish,
    Portuguese, Romanian, Russian, Serbian, Spanish, Swedish, Tamil, Turkish, Ukrainian, Yiddish
);

/// A term of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The term.
    pub term: String,
    /// The number of the word in the text, from 0. Stop words count, so that phrases keep their distances.
    pub position: u32,
    /// Where the word stands in the original text, in bytes.
    pub range: Range<usize>,
}

impl Analyzer {
    /// The terms of a text, in its order.
    pub fn tokens(self, text: &str) -> Vec<Token> {
        let mut tokens = Vec::new();
        self.analyze(text, &mut |term, position, range| {
            tokens.push(Token { term: term.to_owned(), position, range });
        });
        tokens
    }

    /// The term that a single word becomes without being split or stemmed: what prefixes and fuzzy terms are made of.
    pub(crate) fn normalize(self, word: &str) -> String {
        match self {
            Analyzer::Whitespace | Analyzer::Keyword => word.to_owned(),
            Analyzer::Simple => word.to_lowercase(),
            _ => fold::unaccent(&fold::lower(word)).into_owned(),
        }
    }

    /// Tells each term with its position and its byte range.
    pub(crate) fn analyze(self, text: &str, each: &mut dyn FnMut(&str, u32, Range<usize>)) {
        match self {
            Analyzer::Keyword if text.is_empty() => {}
            Analyzer::Keyword => each(text, 0, 0..text.len()),
            Analyzer::Whitespace => {
                for (word, position) in text.split_whitespace().zip(0..) {
                    let start = word.as_ptr().addr() - text.as_ptr().addr();
                    each(word, position, start..start + word.len());
                }
            }
            Analyzer::Simple => words::simple(text, each),
            _ => self.language(text, each),
        }
    }

    fn language(self, text: &str, each: &mut dyn FnMut(&str, u32, Range<usize>)) {
        let stemmer = self.algorithm().map(frostem::Stemmer::new);
        let stop = self.stop_set();
        let mut position = 0;
        words::words(text, &mut |range| {
            let word = fold::lower(&text[range.clone()]);
            if !stop.is_some_and(|stop| stop.contains(&*word)) {
                match &stemmer {
                    Some(stemmer) => each(&fold::unaccent(&stemmer.stem(&word)), position, range),
                    None => each(&fold::unaccent(&word), position, range),
                }
            }
            position += 1;
        });
    }

    /// The stop words, once split; none if there is no list.
    fn stop_set(self) -> Option<&'static HashSet<&'static str>> {
        static SETS: OnceLock<Vec<Option<HashSet<&'static str>>>> = OnceLock::new();
        let sets = SETS.get_or_init(|| {
            let set = |a: &Analyzer| stop_words::stop_words(*a).split_whitespace().collect::<HashSet<_>>();
            Analyzer::ALL.iter().map(|a| Some(set(a)).filter(|s| !s.is_empty())).collect()
        });
        sets[self as usize].as_ref()
    }
}

#[cfg(test)]
mod tests;
