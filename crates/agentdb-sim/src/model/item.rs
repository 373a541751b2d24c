//! Items, their index, and searches among them.

use std::collections::BTreeSet;
use std::rc::Rc;

use agentdb_types::{Code, Result as Typed, limits};
use serde_json::{Map, Value, json};

use super::filter::matches;
use super::record::check_vector;
use super::search::score;
use super::{Decision, Moment, Namespace, check_id, check_value, given_text, is_live, text, time, with};

/// The encoder that the simulated handle has.
pub(crate) const ENCODER: &str = "letters";

/// Makes of a text one more than the count of each of three letters: small integers, never all zero.
pub(crate) struct Letters;

impl agentdb_engine::TextEncoder for Letters {
    fn id(&self) -> &str {
        ENCODER
    }

    fn dimension(&self) -> usize {
        3
    }

    fn encode(&self, texts: &[&str]) -> Typed<Vec<Vec<f32>>> {
        Ok(texts.iter().map(|text| encode(text)).collect())
    }
}

pub(crate) fn encode(text: &str) -> Vec<f32> {
    ["l", "o", "r"].map(|letter| (text.matches(letter).count() + 1) as f32).to_vec()
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Item {
    value: Map<String, Value>,
    pub(super) version: u64,
    created: i64,
    pub(super) updated: i64,
    pub(crate) expires: Option<i64>,
    ttl: Option<i64>,
    /// The number of the index that its vectors are in.
    index: u64,
    /// Its vectors with their slots: equal scores come in their order.
    vectors: Vec<(u64, Vec<f32>)>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ItemIndex {
    pub(crate) number: u64,
    pub(crate) dimension: usize,
    pub(crate) metric: String,
    pub(crate) encoder: Option<String>,
    fields: Vec<String>,
    default: bool,
    created: i64,
    slots: u64,
}

/// A path and a key.
pub(crate) type Place = (Vec<String>, String);

impl Item {
    pub(crate) fn live(&self, now: i64) -> bool {
        is_live(self.expires, now)
    }

    /// How many vectors it has in this index.
    pub(crate) fn vectors_in(&self, index: Option<&ItemIndex>) -> usize {
        if index.is_some_and(|index| index.number == self.index) { self.vectors.len() } else { 0 }
    }

    pub(crate) fn entry(&self, (path, key): &Place, score: Option<f32>) -> Value {
        let entry = json!({
            "path": path, "key": key, "value": self.value, "version": self.version,
            "created": time(self.created), "updated": time(self.updated),
        });
        with(entry, &[("expires", self.expires.map(time)), ("score", score.map(Value::from))])
    }
}

impl ItemIndex {
    pub(crate) fn entry(&self) -> Value {
        let entry = json!({
            "number": self.number, "dimension": self.dimension, "metric": self.metric, "fields": self.fields,
            "default": self.default, "created": time(self.created),
        });
        with(entry, &[("encoder", self.encoder.clone().map(Value::String))])
    }

    /// The texts to encode of a put under this index.
    fn texts(&self, fields: &Value) -> Vec<String> {
        let of_index = || self.fields.clone();
        let selected = match &fields["index"] {
            Value::Array(given) => given.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            Value::Bool(true) => of_index(),
            Value::Null if self.default => of_index(),
            _ => Vec::new(),
        };
        selected.iter().flat_map(|field| select(field, &fields["value"])).collect()
    }
}

/// The texts of the fields that the generator knows.
fn select(field: &str, value: &Value) -> Vec<String> {
    let given = |value: &Value| match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        other => Some(other.to_string()),
    };
    match field {
        "$" => vec![value.to_string()],
        "parts[*]" => value["parts"].as_array().into_iter().flatten().filter_map(given).collect(),
        "deep.er" => given(&value["deep"]["er"]).into_iter().collect(),
        _ => given(&value[field]).into_iter().collect(),
    }
}

fn place(fields: &Value) -> Result<Place, Code> {
    let segments = fields["path"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let place: Place = (segments.map(str::to_owned).collect(), text(fields, "key"));
    if !(1..=limits::PATH_SEGMENTS).contains(&place.0.len()) {
        return Err(Code::PathLength);
    }
    place.0.iter().try_for_each(|segment| check_id(segment))?;
    check_id(&place.1)?;
    Ok(place)
}

impl Namespace {
    pub(super) fn item_operation(&mut self, name: &str, fields: &Value, moment: &mut Moment<'_>) -> Decision {
        match name {
            "item.index" => self.index_items(fields, moment),
            "item.unindex" => {
                let index = self.item_index.take().ok_or(Code::ItemsNotIndexed)?;
                Ok((json!({"number": index.number}), true))
            }
            "item.touch" => self.touch(fields, moment),
            _ => {
                let place = place(fields)?;
                let before = self.items.get(&place).filter(|item| item.live(moment.now)).cloned();
                let version = before.as_ref().map_or(0, |item| item.version);
                if fields["expected_version"].as_u64().is_some_and(|expected| expected != version) {
                    return Err(Code::VersionMismatch);
                }
                if name == "item.put" {
                    return self.put_item(place, before.as_deref(), fields, moment);
                }
                if before.is_some() {
                    Rc::make_mut(&mut self.items).remove(&place);
                }
                Ok((json!({"deleted": before.is_some()}), before.is_some()))
            }
        }
    }

    fn index_items(&mut self, fields: &Value, moment: &Moment<'_>) -> Decision {
        let encoder = given_text(fields, "encoder");
        let given = fields["fields"]
            .as_array()
            .map(|given| given.iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<String>>());
        let selected = given.unwrap_or_else(|| vec!["$".to_owned()]);
        if selected.iter().any(|field| field.ends_with("[0")) {
            return Err(Code::InvalidValue);
        }
        let own = encoder.is_some().then_some(3);
        let dimension = fields["dimension"].as_u64().map(|d| d as usize).or(own);
        let mut index = ItemIndex {
            number: 0,
            dimension: dimension.ok_or(Code::InvalidValue)?,
            metric: given_text(fields, "metric").unwrap_or_else(|| "cosine".to_owned()),
            encoder,
            fields: selected,
            default: fields["default"].as_bool().unwrap_or(true),
            created: moment.now,
            slots: 0,
        };
        if let Some(before) = self.item_index.as_deref() {
            let shape = |index: &ItemIndex| (index.dimension, index.metric.clone(), index.encoder.clone());
            if shape(before) != shape(&index) {
                return Err(Code::ItemIndexMismatch);
            }
            (index.number, index.created, index.slots) = (before.number, before.created, before.slots);
        } else {
            self.collections_created += 1;
            index.number = self.collections_created;
        }
        let response = index.entry();
        self.item_index = Some(Rc::new(index));
        Ok((response, true))
    }

    fn touch(&mut self, fields: &Value, moment: &Moment<'_>) -> Decision {
        let places = fields["items"].as_array().map_or(&[][..], |places| places);
        if places.is_empty() {
            return Err(Code::PageTooLarge);
        }
        let (mut found, mut wrote) = (Vec::new(), false);
        for fields in places {
            let place = place(fields)?;
            let Some(item) = self.items.get(&place).filter(|item| item.live(moment.now)) else {
                found.push(Value::Null);
                continue;
            };
            let mut item = Item::clone(item);
            let expires = moment.expiry(&json!(item.ttl))?;
            if expires != item.expires {
                item.expires = expires;
                Rc::make_mut(&mut self.items).insert(place.clone(), Rc::new(item.clone()));
                wrote = true;
            }
            found.push(item.entry(&place, None));
        }
        Ok((json!({"items": found}), wrote))
    }

    fn put_item(
        &mut self,
        place: Place,
        before: Option<&Item>,
        fields: &Value,
        moment: &Moment<'_>,
    ) -> Decision {
        check_value(&fields["value"])?;
        let vectors = self.vectors_of(fields, moment)?;
        let expires = moment.expiry(&fields["ttl_us"])?;
        let mut number = 0;
        let mut slots = Vec::new();
        if !vectors.is_empty()
            && let Some(index) = self.item_index.as_mut().map(Rc::make_mut)
        {
            number = index.number;
            for vector in vectors {
                index.slots += 1;
                slots.push((index.slots, vector));
            }
        }
        let stored = json!({"version": moment.lsn, "created": before.is_none(), "vectors": slots.len()});
        let item = Item {
            value: fields["value"].as_object().cloned().unwrap_or_default(),
            version: moment.lsn,
            created: before.map_or(moment.now, |item| item.created),
            updated: moment.now,
            expires,
            ttl: fields["ttl_us"].as_i64(),
            index: number,
            vectors: slots,
        };
        Rc::make_mut(&mut self.items).insert(place, Rc::new(item));
        Ok((with(stored, &[("expires", expires.map(time))]), true))
    }

    /// The vectors of a put: its own, or those of its texts, if they were encoded when it was queued.
    fn vectors_of(&self, fields: &Value, moment: &Moment<'_>) -> Result<Vec<Vec<f32>>, Code> {
        let own: Vec<Vec<f32>> = fields["vectors"]
            .as_object()
            .into_iter()
            .flat_map(Map::values)
            .map(|vector| {
                let components = vector.as_array().into_iter().flatten();
                components.map(|x| x.as_f64().unwrap_or_default() as f32).collect()
            })
            .collect();
        let asks = !matches!(fields["index"], Value::Null | Value::Bool(false)) || !own.is_empty();
        let Some(index) = self.item_index.as_deref() else {
            return if asks { Err(Code::ItemsNotIndexed) } else { Ok(Vec::new()) };
        };
        let vectors = if !own.is_empty() {
            if fields["index"] == false {
                return Err(Code::InvalidValue);
            }
            own
        } else if index.encoder.is_none() {
            if asks {
                return Err(Code::ItemsNotIndexed);
            }
            Vec::new()
        } else {
            let seen = moment.seen.filter(|seen| seen.encoder.is_some());
            let encoded: BTreeSet<String> = seen.into_iter().flat_map(|seen| seen.texts(fields)).collect();
            let texts = index.texts(fields);
            if texts.iter().any(|text| !encoded.contains(text)) {
                return Err(Code::ItemIndexMismatch);
            }
            texts.iter().map(|text| encode(text)).collect()
        };
        vectors.iter().try_for_each(|vector| check_vector(index.dimension, &index.metric, vector))?;
        Ok(vectors)
    }

    /// The items below a path that match, by path and key.
    pub(crate) fn items_below<'a>(
        &'a self,
        path: &'a [String],
        filter: &'a Value,
        now: i64,
    ) -> impl Iterator<Item = (&'a Place, &'a Item)> {
        let live = self.items.iter().map(|(place, item)| (place, &**item)).filter(move |(_, i)| i.live(now));
        live.filter(move |((found, _), item)| {
            found.starts_with(path) && matches(filter, &Value::Object(item.value.clone()))
        })
    }

    /// The items below a path that match: the nearest first, those without vectors last.
    pub(crate) fn items_near(
        &self,
        path: &[String],
        filter: &Value,
        query: &[f32],
        now: i64,
    ) -> Result<Vec<Value>, Code> {
        let index = self.item_index.as_deref().ok_or(Code::ItemsNotIndexed)?;
        check_vector(index.dimension, &index.metric, query)?;
        let rank = |score: f32| if index.metric == "euclidean" { score } else { -score };
        let (mut scored, mut rest) = (Vec::new(), Vec::new());
        for (place, item) in self.items_below(path, filter, now) {
            let scores = item.vectors.iter().filter(|_| item.vectors_in(Some(index)) > 0);
            let scores = scores.map(|(slot, vector)| (score(&index.metric, query, vector), *slot));
            let best = scores.min_by(|a, b| rank(a.0).total_cmp(&rank(b.0)).then(a.1.cmp(&b.1)));
            match best {
                Some((score, slot)) => scored.push((score, slot, item.entry(place, Some(score)))),
                None => rest.push(item.entry(place, None)),
            }
        }
        scored.sort_by(|a, b| rank(a.0).total_cmp(&rank(b.0)).then(a.1.cmp(&b.1)));
        Ok(scored.into_iter().map(|(_, _, entry)| entry).chain(rest).collect())
    }

    /// The paths that have items and match, cut to a depth.
    pub(crate) fn item_paths(&self, conditions: &Value, max_depth: Option<usize>, now: i64) -> Vec<Value> {
        let live = self.items.iter().filter(|(_, item)| item.live(now)).map(|((path, _), _)| path);
        let conditions = conditions.as_array().map_or(&[][..], |conditions| conditions);
        let matching = live.filter(|path| conditions.iter().all(|condition| meets(path, condition)));
        let cut = |path: &Vec<String>| path[..path.len().min(max_depth.unwrap_or(path.len()))].to_vec();
        let paths: BTreeSet<Vec<String>> = matching.map(cut).collect();
        paths.into_iter().map(|path| json!({"path": path})).collect()
    }
}

fn meets(path: &[String], condition: &Value) -> bool {
    let pattern = |kind: &str| condition[kind].as_array().cloned();
    let like = |(segment, pattern): (&String, &Value)| pattern == "*" || pattern == segment;
    match (pattern("prefix"), pattern("suffix")) {
        (Some(start), _) => start.len() <= path.len() && path.iter().zip(&start).all(like),
        (_, Some(end)) => {
            end.len() <= path.len() && path[path.len() - end.len()..].iter().zip(&end).all(like)
        }
        _ => false,
    }
}
