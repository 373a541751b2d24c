//! What analyzers make of texts.

use super::*;

fn terms(analyzer: Analyzer, text: &str) -> Vec<String> {
    analyzer.tokens(text).into_iter().map(|t| t.term).collect()
}

#[test]
fn one_analyzer_is_right_for_mixed_text() {
    let s = Analyzer::Standard;
    assert_eq!(terms(s, "Crème BRÛLÉE, it's 3.14!"), ["creme", "brulee", "it's", "3.14"]);
    assert_eq!(terms(s, "Straße Łódź ﬁne Ａ１"), ["strasse", "lodz", "fine", "a1"]);
    assert_eq!(terms(s, "한국어를 K팝 책"), ["한국", "국어", "어를", "k", "팝", "책"]);
    assert_eq!(terms(s, "我们喜欢中文"), ["我们", "喜欢", "中文"]);
    assert_eq!(terms(s, "私は東京に行きます"), ["私", "は", "東京", "に", "行き", "ます"]);
    assert_eq!(terms(s, "ok 👍 ❤️"), ["ok", "👍", "❤"]);
    assert_eq!(terms(s, "й ё ガギ हिन्दी"), ["й", "е", "ガギ", "हिन्दी"]);
    assert!(terms(s, "… -- ()").is_empty() && terms(s, "").is_empty());
}

#[test]
fn languages_drop_stop_words_and_stem_but_count_positions() {
    let tokens = Analyzer::English.tokens("The cats of Paris");
    let found: Vec<_> = tokens.iter().map(|t| (t.term.as_str(), t.position, t.range.clone())).collect();
    assert_eq!(found, [("cat", 1, 4..8), ("pari", 3, 12..17)]);
    assert_eq!(terms(Analyzer::German, "Die Häuser"), terms(Analyzer::German, "das Haus"));
    assert_eq!(terms(Analyzer::French, "été"), ["ete"]);
}

#[test]
fn ranges_are_those_of_the_original() {
    for text in ["Ein Ｔest für 한국어 und 北京大学 👩‍👩‍👧 x̂y", "İstanbul ﬃ"] {
        for analyzer in Analyzer::ALL {
            for token in analyzer.tokens(text) {
                assert!(text.get(token.range.clone()).is_some_and(|word| !word.is_empty()), "{token:?}");
            }
        }
    }
}

#[test]
fn other_analyzers() {
    assert_eq!(terms(Analyzer::Keyword, "A b"), ["A b"]);
    assert!(terms(Analyzer::Keyword, "").is_empty());
    assert_eq!(terms(Analyzer::Whitespace, " A-b  C "), ["A-b", "C"]);
    assert_eq!(terms(Analyzer::Simple, "A-b_C9"), ["a", "b", "c9"]);
    let long = "x".repeat(70_000);
    assert_eq!(terms(Analyzer::Standard, &long), [long]);
}

#[test]
fn names_are_snake_case() {
    assert_eq!(serde_json::to_string(&Analyzer::Standard).unwrap(), "\"standard\"");
    assert_eq!(serde_json::from_str::<Analyzer>("\"german\"").unwrap(), Analyzer::German);
}
