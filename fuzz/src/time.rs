//! Times of the cloud: the way that is quick for the documented form, against the library.

use clouddb_backup_exporter::product;
use jiff::Timestamp;
use serde_json::json;

/// What the library reads is read as the same.
pub fn throw(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let record = json!({
        "id": "b", "instance_id": "i", "type": "auto", "status": "COMPLETED", "begin_time": text,
    });
    let answer = json!({ "backups": [record], "total_count": 1 });
    let rds = product::by_name("rds").expect("there is RDS");
    let read = (rds.decode)(answer.to_string().as_bytes(), None);
    let begin = read.ok().and_then(|page| page.entries.first()?.begin);
    // The name of a zone in brackets is refused on purpose.
    if let Ok(time) = text.parse::<Timestamp>()
        && !text.contains('[')
    {
        assert_eq!(begin, Some(time), "{text}");
    }
}
