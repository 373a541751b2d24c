//! Reading shapes from JSON.

use agentdb_types::Result;
use serde_json::{Map, Value};

use super::geo::Ring;
use super::parse::invalid;
use super::{Point, Shape};

/// How many vertices the value of `$geo_within` has, if it looks like a polygon: each is a term of the filter.
pub(super) fn vertices(value: &Value) -> Option<usize> {
    value.as_object()?.get("polygon")?.as_array().map(Vec::len)
}

/// Reads `{"circle": …}`, `{"box": …}` or `{"polygon": …}`.
pub(super) fn shape(value: &Value, at: &str) -> Result<Shape> {
    const WANTED: &str = "it needs an object with one of `circle`, `box` and `polygon`";
    let object = value.as_object().filter(|o| o.len() == 1).ok_or_else(|| invalid(at, WANTED))?;
    let (name, value) = object.iter().next().ok_or_else(|| invalid(at, WANTED))?;
    let at = format!("{at}.{name}");
    match name.as_str() {
        "circle" => circle(value, &at),
        "box" => rectangle(value, &at),
        "polygon" => polygon(value, &at),
        _ => Err(invalid(&at, "there is no such shape: use `circle`, `box` or `polygon`")),
    }
}

fn circle(value: &Value, at: &str) -> Result<Shape> {
    let object = members(value, at, &["lat", "lon", "radius_m"])?;
    let center = point(number(object, at, "lat", 90.0)?, number(object, at, "lon", 180.0)?, at)?;
    let radius_m = number(object, at, "radius_m", f64::MAX)?;
    if radius_m < 0.0 {
        return Err(invalid(&format!("{at}.radius_m"), "a radius is not negative"));
    }
    Ok(Shape::Circle { center, radius_m })
}

fn rectangle(value: &Value, at: &str) -> Result<Shape> {
    let object = members(value, at, &["south", "north", "west", "east"])?;
    let south = number(object, at, "south", 90.0)?;
    let north = number(object, at, "north", 90.0)?;
    if south > north {
        return Err(invalid(at, "`south` is not greater than `north`"));
    }
    let (west, east) = (number(object, at, "west", 180.0)?, number(object, at, "east", 180.0)?);
    Ok(Shape::Box { south, north, west, east })
}

fn polygon(value: &Value, at: &str) -> Result<Shape> {
    let items = value.as_array().ok_or_else(|| invalid(at, "it needs an array of [lat, lon]"))?;
    let vertex = |(i, item): (usize, &Value)| {
        let at = format!("{at}[{i}]");
        let pair = item.as_array().filter(|p| p.len() == 2);
        let pair = pair.and_then(|p| Some((p[0].as_f64()?, p[1].as_f64()?)));
        let (lat, lon) = pair.ok_or_else(|| invalid(&at, "a vertex is [lat, lon], two numbers"))?;
        point(lat, lon, &at)
    };
    let vertices = items.iter().enumerate().map(vertex).collect::<Result<Vec<_>>>()?;
    Ring::new(&vertices).map(Shape::Polygon).map_err(|reason| invalid(at, reason))
}

fn point(lat: f64, lon: f64, at: &str) -> Result<Point> {
    Point::new(lat, lon).ok_or_else(|| {
        invalid(at, "a latitude is between -90 and 90 degrees, a longitude between -180 and 180")
    })
}

/// The members of an object that has these and no others.
fn members<'a>(value: &'a Value, at: &str, names: &[&str]) -> Result<&'a Map<String, Value>> {
    let wanted = || format!("it needs an object with {}", names.join(", "));
    let object = value.as_object().ok_or_else(|| invalid(at, &wanted()))?;
    if let Some(name) = object.keys().find(|k| !names.contains(&k.as_str())) {
        return Err(invalid(&format!("{at}.{name}"), &format!("there is no such member: {}", wanted())));
    }
    Ok(object)
}

fn number(object: &Map<String, Value>, at: &str, name: &str, most: f64) -> Result<f64> {
    let at = format!("{at}.{name}");
    let number = object.get(name).and_then(Value::as_f64).ok_or_else(|| invalid(&at, "it needs a number"))?;
    if number.abs() > most {
        return Err(invalid(&at, &format!("it lies outside of -{most} to {most}")));
    }
    // No negative zero.
    Ok(number + 0.0)
}
