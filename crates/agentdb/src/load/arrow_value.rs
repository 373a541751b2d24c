//! Cells of Arrow's arrays as JSON, and as vectors.

use std::collections::BTreeSet;

use agentdb_engine::modules::load::Convert;
use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, TimeUnit};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value};

/// What becomes of values that JSON, or a vector, cannot hold.
pub(super) struct Cells<'a> {
    pub(super) convert: &'a BTreeSet<Convert>,
    pub(super) doubles: bool,
}

type Cell<T> = Result<T, String>;

impl Cells<'_> {
    fn converts(&self, convert: Convert) -> bool {
        self.convert.contains(&convert)
    }
}

/// A cell as JSON.
pub(super) fn value(array: &ArrayRef, at: usize, cells: &Cells<'_>) -> Cell<Value> {
    if array.is_null(at) {
        return Ok(Value::Null);
    }
    macro_rules! integer {
        ($kind:ty) => {
            Ok(array.as_primitive::<$kind>().value(at).into())
        };
    }
    match array.data_type() {
        DataType::Null => Ok(Value::Null),
        DataType::Boolean => Ok(array.as_boolean().value(at).into()),
        DataType::Int8 => integer!(Int8Type),
        DataType::Int16 => integer!(Int16Type),
        DataType::Int32 => integer!(Int32Type),
        DataType::Int64 => integer!(Int64Type),
        DataType::UInt8 => integer!(UInt8Type),
        DataType::UInt16 => integer!(UInt16Type),
        DataType::UInt32 => integer!(UInt32Type),
        DataType::UInt64 => integer!(UInt64Type),
        DataType::Float16 => number(array.as_primitive::<Float16Type>().value(at).to_f64(), cells),
        DataType::Float32 => number(array.as_primitive::<Float32Type>().value(at).into(), cells),
        DataType::Float64 => number(array.as_primitive::<Float64Type>().value(at), cells),
        DataType::Utf8 => Ok(array.as_string::<i32>().value(at).into()),
        DataType::LargeUtf8 => Ok(array.as_string::<i64>().value(at).into()),
        DataType::Utf8View => Ok(array.as_string_view().value(at).into()),
        DataType::Binary => bytes(array.as_binary::<i32>().value(at), cells),
        DataType::LargeBinary => bytes(array.as_binary::<i64>().value(at), cells),
        DataType::BinaryView => bytes(array.as_binary_view().value(at), cells),
        DataType::FixedSizeBinary(_) => bytes(array.as_fixed_size_binary().value(at), cells),
        DataType::Decimal32(..) => {
            decimal(|| array.as_primitive::<Decimal32Type>().value_as_string(at), cells)
        }
        DataType::Decimal64(..) => {
            decimal(|| array.as_primitive::<Decimal64Type>().value_as_string(at), cells)
        }
        DataType::Decimal128(..) => {
            decimal(|| array.as_primitive::<Decimal128Type>().value_as_string(at), cells)
        }
        DataType::Decimal256(..) => {
            decimal(|| array.as_primitive::<Decimal256Type>().value_as_string(at), cells)
        }
        DataType::Date32 => date(array.as_primitive::<Date32Type>().value(at).into()).map(Value::from),
        DataType::Date64 => {
            let ms = array.as_primitive::<Date64Type>().value(at);
            if ms % 86_400_000 != 0 {
                return Err(format!("the date has a time of day: {ms} milliseconds since 1970"));
            }
            date(ms / 86_400_000).map(Value::from)
        }
        DataType::Timestamp(unit, zone) => {
            let ticks = match unit {
                TimeUnit::Second => array.as_primitive::<TimestampSecondType>().value(at),
                TimeUnit::Millisecond => array.as_primitive::<TimestampMillisecondType>().value(at),
                TimeUnit::Microsecond => array.as_primitive::<TimestampMicrosecondType>().value(at),
                TimeUnit::Nanosecond => array.as_primitive::<TimestampNanosecondType>().value(at),
            };
            if zone.is_none() && !cells.converts(Convert::NaiveTimesAsUtc) {
                return Err("the time has no zone: `naive_times_as_utc` takes it as UTC".to_owned());
            }
            let micros = micros(ticks, *unit, cells)?;
            instant(micros).map(Value::from)
        }
        DataType::Time32(TimeUnit::Second) => {
            time_of_day(array.as_primitive::<Time32SecondType>().value(at).into(), TimeUnit::Second, cells)
        }
        DataType::Time32(_) => time_of_day(
            array.as_primitive::<Time32MillisecondType>().value(at).into(),
            TimeUnit::Millisecond,
            cells,
        ),
        DataType::Time64(TimeUnit::Microsecond) => {
            time_of_day(array.as_primitive::<Time64MicrosecondType>().value(at), TimeUnit::Microsecond, cells)
        }
        DataType::Time64(_) => {
            time_of_day(array.as_primitive::<Time64NanosecondType>().value(at), TimeUnit::Nanosecond, cells)
        }
        DataType::List(_) => list(&array.as_list::<i32>().value(at), cells),
        DataType::LargeList(_) => list(&array.as_list::<i64>().value(at), cells),
        DataType::FixedSizeList(..) => list(&array.as_fixed_size_list().value(at), cells),
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            let member = |(field, column): (&arrow_schema::FieldRef, &ArrayRef)| {
                let value =
                    value(column, at, cells).map_err(|reason| format!("in {:?}: {reason}", field.name()))?;
                Ok((field.name().clone(), value))
            };
            let members = fields.iter().zip(columns).map(member).collect::<Cell<Map<_, _>>>()?;
            if members.len() < fields.len() {
                return Err("two of its members have one name".to_owned());
            }
            Ok(Value::Object(members))
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(at);
            let (keys, values) = (entries.column(0), entries.column(1));
            let mut members = Map::new();
            for entry in 0..entries.len() {
                let Value::String(name) = value(keys, entry, cells)? else {
                    return Err("a key of the map is no text".to_owned());
                };
                if members.insert(name.clone(), value(values, entry, cells)?).is_some() {
                    return Err(format!("the map has the key {name:?} twice"));
                }
            }
            Ok(Value::Object(members))
        }
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            let key = value(&arrow_array::make_array(dictionary.keys().to_data()), at, cells)?;
            match key.as_u64().and_then(|key| usize::try_from(key).ok()) {
                Some(key) if key < dictionary.values().len() => value(dictionary.values(), key, cells),
                _ => Err("its dictionary does not have it".to_owned()),
            }
        }
        other => Err(format!("a value of the type {other} has no form in a record: `skip` the column")),
    }
}

fn list(items: &ArrayRef, cells: &Cells<'_>) -> Cell<Value> {
    (0..items.len())
        .map(|at| value(items, at, cells).map_err(|reason| format!("at position {at}: {reason}")))
        .collect::<Cell<Vec<_>>>()
        .map(Value::Array)
}

fn number(number: f64, cells: &Cells<'_>) -> Cell<Value> {
    match Number::from_f64(number) {
        Some(number) => Ok(Value::Number(number)),
        None if cells.converts(Convert::NanAsNull) => Ok(Value::Null),
        None => Err(format!("{number} is no number that JSON has: `nan_as_null` makes null of it")),
    }
}

fn bytes(bytes: &[u8], cells: &Cells<'_>) -> Cell<Value> {
    if cells.converts(Convert::BinaryAsBase64) {
        return Ok(STANDARD.encode(bytes).into());
    }
    Err("bytes have no form in JSON: `binary_as_base64` makes text of them".to_owned())
}

fn decimal(text: impl FnOnce() -> String, cells: &Cells<'_>) -> Cell<Value> {
    if cells.converts(Convert::DecimalsAsText) {
        return Ok(text().into());
    }
    let text = text();
    if cells.converts(Convert::DecimalsAsNumbers) {
        let number = text.parse().ok().and_then(Number::from_f64);
        return number.map(Value::Number).ok_or_else(|| format!("{text} is beyond 64-bit floats"));
    }
    Err(format!(
        "the decimal {text} has no form in JSON: `decimals_as_text` or `decimals_as_numbers` gives it one"
    ))
}

/// A vector, unless the cell is null.
pub(super) fn floats(array: &ArrayRef, at: usize, cells: &Cells<'_>) -> Cell<Option<Vec<f32>>> {
    if array.is_null(at) {
        return Ok(None);
    }
    let items = match array.data_type() {
        DataType::List(_) => array.as_list::<i32>().value(at),
        DataType::LargeList(_) => array.as_list::<i64>().value(at),
        DataType::FixedSizeList(..) => array.as_fixed_size_list().value(at),
        other => return Err(format!("a vector is a list of numbers, and the column is of the type {other}")),
    };
    if let Some(null) = (0..items.len()).find(|at| items.is_null(*at)) {
        return Err(format!("component {null} of the vector is null"));
    }
    macro_rules! exact {
        ($kind:ty) => {
            items.as_primitive::<$kind>().values().iter().map(|x| f32::from(*x)).collect()
        };
    }
    Ok(Some(match items.data_type() {
        DataType::Float32 => items.as_primitive::<Float32Type>().values().to_vec(),
        DataType::Float16 => {
            items.as_primitive::<Float16Type>().values().iter().map(|x| x.to_f32()).collect()
        }
        DataType::Float64 => {
            let component = |(at, x): (usize, &f64)| {
                let nearest = *x as f32;
                match x.is_finite() && (cells.doubles && nearest.is_finite() || f64::from(nearest) == *x) {
                    true => Ok(nearest),
                    false if !x.is_finite() => Err(format!("component {at} of the vector is {x}")),
                    false => Err(format!(
                        "component {at} of the vector, {x}, is no 32-bit float: `doubles_as_floats` takes the nearest"
                    )),
                }
            };
            items
                .as_primitive::<Float64Type>()
                .values()
                .iter()
                .enumerate()
                .map(component)
                .collect::<Cell<_>>()?
        }
        DataType::Int8 => exact!(Int8Type),
        DataType::Int16 => exact!(Int16Type),
        DataType::UInt8 => exact!(UInt8Type),
        DataType::UInt16 => exact!(UInt16Type),
        other => {
            return Err(format!("components of a vector are numbers, and these are of the type {other}"));
        }
    }))
}

fn micros(ticks: i64, unit: TimeUnit, cells: &Cells<'_>) -> Cell<i64> {
    let beyond = || format!("the time is beyond what can be written: {ticks} {unit:?}s since 1970");
    match unit {
        TimeUnit::Second => ticks.checked_mul(1_000_000).ok_or_else(beyond),
        TimeUnit::Millisecond => ticks.checked_mul(1_000).ok_or_else(beyond),
        TimeUnit::Microsecond => Ok(ticks),
        TimeUnit::Nanosecond if ticks % 1_000 != 0 && !cells.converts(Convert::NanosecondsTruncated) => {
            Err(format!(
                "the time has {} nanoseconds beyond its microseconds: `nanoseconds_truncated` drops them",
                ticks.rem_euclid(1_000)
            ))
        }
        TimeUnit::Nanosecond => Ok(ticks.div_euclid(1_000)),
    }
}

const DAY_US: i64 = 86_400_000_000;

/// A day since 1970 as `2026-01-31` (after H. Hinnant, "chrono-compatible low-level date algorithms").
fn date(day: i64) -> Cell<String> {
    const ERA: i64 = 146_097;
    let shifted = day + 719_468;
    let (era, of_era) = (shifted.div_euclid(ERA), shifted.rem_euclid(ERA));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / (ERA - 1)) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let (day_of_month, month) =
        (of_year - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    if !(1..=9_999).contains(&year) {
        return Err(format!("the year {year} is beyond what can be written"));
    }
    Ok(format!("{year:04}-{month:02}-{day_of_month:02}"))
}

/// Microseconds since 1970 as RFC 3339.
fn instant(micros: i64) -> Cell<String> {
    let (day, of_day) = (micros.div_euclid(DAY_US), micros.rem_euclid(DAY_US));
    Ok(format!("{}T{}Z", date(day)?, clock(of_day)))
}

fn clock(micros: i64) -> String {
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    let text = format!("{hours:02}:{minutes:02}:{:02}", seconds % 60);
    match fraction {
        0 => text,
        fraction => format!("{text}.{}", format!("{fraction:06}").trim_end_matches('0')),
    }
}

fn time_of_day(ticks: i64, unit: TimeUnit, cells: &Cells<'_>) -> Cell<Value> {
    let micros = micros(ticks, unit, cells)?;
    if !(0..DAY_US).contains(&micros) {
        return Err(format!("{micros} microseconds are no time of a day"));
    }
    Ok(clock(micros).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_times_are_written_as_they_are_read() {
        for day in (-719_162..2_932_896).step_by(97) {
            let text = date(day).unwrap();
            if day >= 0 {
                let read: agentdb_types::Timestamp = format!("{text}T00:00:00Z").parse().unwrap();
                assert_eq!(read.micros(), day * DAY_US, "{text}");
            }
        }
        for (micros, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (951_782_400_500_000, "2000-02-29T00:00:00.5Z"),
            (253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z"),
        ] {
            assert_eq!(instant(micros).unwrap(), text);
        }
        assert!(instant(253_402_300_800_000_000).is_err() && date(-719_163).is_err());
    }
}
