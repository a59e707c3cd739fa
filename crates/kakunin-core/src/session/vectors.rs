//! Reads the vector files under testdata/: records of `Key = value` lines, separated by blank lines; `#` starts a
//! comment line. A value is the rest of its line behind one space, taken as it is.

use std::collections::BTreeMap;

/// One block of a vector file.
pub(crate) struct Record(BTreeMap<String, String>);

impl Record {
    /// The value of a key that the record must have.
    pub(crate) fn get(&self, key: &str) -> &str {
        self.find(key).unwrap_or_else(|| panic!("{:?} lacks {key}", self.0))
    }

    /// The value of a key that the record may have.
    pub(crate) fn find(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }
}

/// All records of a file, of which there must be at least one.
pub(crate) fn records(text: &str) -> Vec<Record> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let records: Vec<Record> = lines
        .split(|line| line.is_empty())
        .filter(|block| !block.is_empty())
        .map(|block| {
            let mut members = BTreeMap::new();
            for line in block {
                let (key, value) = line.split_once(" =").unwrap_or_else(|| panic!("no ` =` in {line:?}"));
                let value = value.strip_prefix(' ').unwrap_or(value);
                assert!(members.insert(key.to_owned(), value.to_owned()).is_none(), "{key} twice in a record");
            }
            Record(members)
        })
        .collect();
    assert!(!records.is_empty(), "a vector file without vectors proves nothing");
    records
}
