//! The setting that a misspelt name probably means.

use super::{Read, all};

/// The nearest of some names, if it is near: one wrong, missing, surplus or swapped letter, or two in a longer name.
pub(in crate::config) fn similar<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name: Vec<char> = name.to_uppercase().chars().collect();
    // In a short name two letters make another word.
    let most = if name.len() < 8 { 1 } else { 2 };
    names
        .map(|known| (distance(&name, &known.to_uppercase().chars().collect::<Vec<_>>()), known))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, known)| known)
}

/// Variables that are not settings but are named nearly like one, each with the setting that is probably meant.
///
/// The environment is full of foreign names, so short ones do not count: `APP_TOKEN` need not be `API_TOKEN`.
pub(in crate::config) fn misspelt(variables: impl Iterator<Item = String>) -> Vec<(String, &'static str)> {
    const SHORTEST: usize = 11;
    let ours = || all().filter(|(group, _)| group.read != Read::ByOthers).map(|(_, setting)| setting.name);
    let long = || ours().filter(|name| name.len() >= SHORTEST);
    let foreign = variables.filter(|name| !all().any(|(_, setting)| setting.name == name));
    foreign.filter_map(|name| similar(&name, long()).map(|meant| (name, meant))).collect()
}

/// How many letters must be added, taken away, replaced or swapped with the next (the restricted Damerau-Levenshtein
/// distance, <https://en.wikipedia.org/wiki/Damerau%E2%80%93Levenshtein_distance>).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(before[j - 2] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distance_counts_single_letters_and_swaps() {
        for (a, b, wanted) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "abc", 0),
            ("abc", "abd", 1),
            ("abc", "acb", 1),
            ("ab", "abc", 1),
            ("kitten", "sitting", 3),
        ] {
            let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
            assert_eq!((distance(&a, &b), distance(&b, &a)), (wanted, wanted), "{a:?} {b:?}");
        }
    }

    #[test]
    fn only_a_near_name_is_meant() {
        let names = ["MODE", "MAX_CREATES", "MAX_REMOVALS", "SNAPSHOT_GAP"];
        let meant = |name: &str| similar(name, names.into_iter());
        assert_eq!(meant("max_create"), Some("MAX_CREATES"));
        assert_eq!(meant("max-creats"), Some("MAX_CREATES"));
        assert_eq!(meant("SNAPSOHT_GAP"), Some("SNAPSHOT_GAP"));
        assert_eq!(meant("mod"), Some("MODE"));
        assert_eq!(meant("made_up"), None);
        assert_eq!(meant("MOOD"), None);
        assert_eq!(meant("a"), None);
    }

    #[test]
    fn a_variable_is_misspelt_only_if_its_name_is_long_and_nearly_that_of_a_setting() {
        let variables = [
            "QUALYS_CONCURENCY",
            "max_creates",
            "MAX_CREATES",
            "AZURE_CLIENT_ID",
            "APP_TOKEN",
            "SECRET",
            "LOGNAME",
            "WEBSITE_SITE_NAME",
        ];
        let found = misspelt(variables.map(str::to_owned).into_iter());
        assert_eq!(
            found,
            [
                ("QUALYS_CONCURENCY".to_owned(), "QUALYS_CONCURRENCY"),
                ("max_creates".to_owned(), "MAX_CREATES")
            ]
        );
    }
}
