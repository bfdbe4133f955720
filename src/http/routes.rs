//! One table of routes: the router and the description are made from it.

use super::asked::{Asked, read_body};
use super::problem::Problem;
use super::server::Front;
use super::{batch, collections, documents, group, openapi, queries, watch};
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, Request};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

/// What a route brings.
pub(super) type Answering = Pin<Box<dyn Future<Output = Result<Response, Problem>> + Send>>;
type Does = fn(Arc<Front>, Asked) -> Answering;

/// A route.
pub(super) struct Route {
    /// In lower case.
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    /// Unique; its name in clients that are generated.
    pub(super) name: &'static str,
    pub(super) summary: &'static str,
    /// What may stand in the query, beside what all take.
    pub(super) query: &'static [&'static str],
    /// Whether it writes (and takes an idempotency key), reads (and takes a level),
    /// or neither.
    pub(super) kind: RouteKind,
    /// An example of the body it takes, as JSON; empty for none.
    pub(super) body: &'static str,
    /// An example of what it answers.
    pub(super) answer: &'static str,
    /// The status when it is well.
    pub(super) status: u16,
    does: Does,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum RouteKind {
    Writes,
    Reads,
    Other,
}

/// What a query may hold at each route of a kind.
impl RouteKind {
    pub(super) fn query(self) -> &'static [&'static str] {
        match self {
            RouteKind::Writes => &["within"],
            RouteKind::Reads => &["within", "level"],
            RouteKind::Other => &["within"],
        }
    }
}

macro_rules! routes {
    ($($method:ident $path:literal $name:ident $kind:ident $status:literal $query:expr, $summary:literal,
       $body:literal => $answer:literal, $does:path;)*) => {
        &[$(Route {
            method: stringify!($method),
            path: $path,
            name: stringify!($name),
            summary: $summary,
            query: $query,
            kind: RouteKind::$kind,
            body: $body,
            answer: $answer,
            status: $status,
            does: |front, asked| Box::pin($does(front, asked)),
        }),*]
    };
}

/// All there are.
pub(super) const ROUTES: &[Route] = routes! {
    get "/v1/openapi.json" openapi Other 200 &[], "This description", "" => r#"{"openapi":"3.1.0"}"#, openapi::describe;
    get "/v1/status" status Other 200 &[], "This node and its view of the group", ""
        => r#"{"node":{"name":"n1","id":"71"},"log":{"leader":"n2","term":3,"applied":41},"store":{"bytes":1024}}"#, group::status;
    get "/v1/members" members Other 200 &[], "The nodes of the group", ""
        => r#"{"members":[{"node":"71","name":"n1","votes":true,"leads":false}]}"#, group::members;
    delete "/v1/members/{node}" remove_member Other 200 &[], "Removes a node from the group", ""
        => r#"{"removed":"71"}"#, group::remove;
    get "/v1/outcome/{key}" outcome Other 200 &[], "What became of the write with this idempotency key", ""
        => r#"{"known":true,"receipt":{"term":3,"index":41,"synced":2},"result":{}}"#, group::outcome;
    get "/v1/collections" list_collections Reads 200 &[], "All collections, with counts and indexes", ""
        => r#"{"collections":[{"name":"people","documents":3}],"index":41}"#, collections::list;
    put "/v1/collections/{collection}" create_collection Writes 200 &[], "Creates a collection; one that is there alike is no error", r#"{"expire_after_ms":60000}"#
        => r#"{"changed":true,"receipt":{"term":3,"index":41,"synced":2}}"#, collections::create;
    get "/v1/collections/{collection}" read_collection Reads 200 &[], "A collection, with counts and indexes", ""
        => r#"{"name":"people","documents":3,"indexes":[]}"#, collections::show;
    delete "/v1/collections/{collection}" drop_collection Writes 200 &[], "Drops a collection with all it holds", ""
        => r#"{"changed":true,"receipt":{"term":3,"index":41,"synced":2}}"#, collections::remove;
    get "/v1/collections/{collection}/indexes" list_indexes Reads 200 &[], "The indexes of a collection", ""
        => r#"{"indexes":[{"spec":{"name":"age","fields":["age"]},"entries":3,"state":"Ready"}]}"#, collections::indexes;
    put "/v1/collections/{collection}/indexes/{index}" create_index Writes 200 &[], "Creates an index; it is built while writes go on",
        r#"{"fields":["city","age"],"unique":false,"sparse":false}"#
        => r#"{"changed":true,"receipt":{"term":3,"index":41,"synced":2}}"#, collections::create_index;
    delete "/v1/collections/{collection}/indexes/{index}" drop_index Writes 200 &[], "Drops an index", ""
        => r#"{"changed":true,"receipt":{"term":3,"index":41,"synced":2}}"#, collections::drop_index;
    post "/v1/collections/{collection}/documents" add_documents Writes 201 &[], "Adds a document, or all of a list in one step; one without '_id' gets one",
        r#"{"name":"Ada","age":36}"#
        => r#"{"id":"0ax1","revision":41,"inserted":1,"receipt":{"term":3,"index":41,"synced":2}}"#, documents::add;
    get "/v1/collections/{collection}/documents/{id}" get_document Reads 200 &["projection"], "A document", ""
        => r#"{"id":"0ax1","revision":41,"document":{"_id":"0ax1","name":"Ada"},"index":41}"#, documents::get;
    put "/v1/collections/{collection}/documents/{id}" put_document Writes 200 &["revision", "replace"],
        "Replaces a document, or adds it; only replaces with 'replace' or a revision", r#"{"name":"Ada","age":37}"#
        => r#"{"id":"0ax1","revision":42,"changed":1,"receipt":{"term":3,"index":42,"synced":2}}"#, documents::put;
    patch "/v1/collections/{collection}/documents/{id}" patch_document Writes 200 &["revision", "upsert"],
        "Changes a document by operators or a merge patch", r#"{"$inc":{"age":1}}"#
        => r#"{"id":"0ax1","revision":43,"changed":1,"receipt":{"term":3,"index":43,"synced":2}}"#, documents::patch;
    delete "/v1/collections/{collection}/documents/{id}" delete_document Writes 200 &["revision"], "Deletes a document", ""
        => r#"{"id":"0ax1","deleted":1,"receipt":{"term":3,"index":44,"synced":2}}"#, documents::delete;
    post "/v1/collections/{collection}/find" find Reads 200 &[], "A page of the documents that pass a filter; 'cursor' for the next one",
        r#"{"filter":{"age":{"$gte":18}},"sort":["-age"],"projection":["name"],"limit":100}"#
        => r#"{"documents":[{"id":"0ax1","revision":41,"document":{}}],"at":41,"examined":1,"cursor":null}"#, queries::find;
    post "/v1/collections/{collection}/count" count Reads 200 &[], "How many documents pass", r#"{"filter":{"age":{"$gte":18}}}"#
        => r#"{"count":3,"index":41}"#, queries::count;
    post "/v1/collections/{collection}/explain" explain Reads 200 &[], "How a query is gone about", r#"{"filter":{"age":{"$gte":18}}}"#
        => r#"{"plan":{"access":"Scan","examined":3,"matched":1},"index":41}"#, queries::explain;
    post "/v1/collections/{collection}/patch" patch_where Writes 200 &[], "Changes all documents that pass, or none",
        r#"{"filter":{"age":{"$gte":18}},"patch":{"$set":{"adult":true}}}"#
        => r#"{"matched":3,"changed":3,"receipt":{"term":3,"index":45,"synced":2}}"#, queries::patch;
    post "/v1/collections/{collection}/delete" delete_where Writes 200 &[],
        "Deletes all documents that pass; 'exact' instead of 'filter' names attributes to be equal", r#"{"filter":{"age":{"$lt":18}}}"#
        => r#"{"deleted":2,"receipt":{"term":3,"index":46,"synced":2}}"#, queries::delete;
    post "/v1/batch" batch Writes 200 &[], "Writes of several documents and collections, all or none",
        r#"{"writes":[{"op":"insert","collection":"people","document":{"name":"Bo"}},{"op":"delete","collection":"people","id":"0ax1"}]}"#
        => r#"{"results":[{"id":"0ax2","revision":47,"inserted":1},{"deleted":1}],"receipt":{"term":3,"index":47,"synced":2}}"#, batch::commit;
    get "/v1/watch" watch_all Other 200 &["after", "state"], "Changes of all collections, as server-sent events; 'Last-Event-ID' goes on behind one", ""
        => "event: change", watch::all;
    get "/v1/collections/{collection}/watch" watch_collection Other 200 &["after", "state", "filter"],
        "Changes of a collection, as server-sent events; with 'state' all its documents first", ""
        => "event: change", watch::one;
};

/// The router of the table.
pub(super) fn router(front: &Arc<Front>) -> Router {
    let router = ROUTES.iter().fold(Router::new(), |router, route| {
        let front = front.clone();
        let answer = move |Path(params): Path<BTreeMap<String, String>>, query, request: Request| async move {
            answered(front, route, params, query, request).await.unwrap_or_else(IntoResponse::into_response)
        };
        router.route(route.path, on(filter(route.method), answer))
    });
    let nowhere = |request: Request| async move {
        let (method, path) = (request.method().clone(), request.uri().path().to_string());
        Problem::new(StatusCode::NOT_FOUND, "route", format!("nothing is at {method} {path}"), HINT)
    };
    let not_so = |request: Request| async move {
        let (method, path) = (request.method().clone(), request.uri().path().to_string());
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", format!("{path} does not take {method}"), HINT)
    };
    router.method_not_allowed_fallback(not_so).fallback(nowhere)
}

const HINT: &str = "GET /v1/openapi.json describes all routes";

fn filter(method: &str) -> MethodFilter {
    match method {
        "put" => MethodFilter::PUT,
        "post" => MethodFilter::POST,
        "patch" => MethodFilter::PATCH,
        "delete" => MethodFilter::DELETE,
        _ => MethodFilter::GET,
    }
}

async fn answered(
    front: Arc<Front>,
    route: &'static Route,
    params: BTreeMap<String, String>,
    query: Result<Query<BTreeMap<String, String>>, axum::extract::rejection::QueryRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let Query(query) = query.map_err(|error| Problem::bad("query", error))?;
    if let Some(name) = query.keys().find(|name| !takes(route, name)) {
        let known: Vec<_> = route.kind.query().iter().chain(route.query).copied().collect();
        return Err(Problem::bad("query", format!("'{name}' is not taken here: {}", known.join(", "))));
    }
    let (parts, body) = request.into_parts();
    let body = read_body(&parts.headers, body, &front.options.limits).await?;
    let asked = Asked { params, query, headers: parts.headers, body };
    if route.body.is_empty() && !asked.is_empty() {
        return Err(Problem::bad("body", "no body is taken here"));
    }
    (route.does)(front, asked).await
}

fn takes(route: &Route, name: &str) -> bool {
    route.kind.query().contains(&name) || route.query.contains(&name)
}

/// JSON with a status and headers.
pub(super) fn json(status: u16, headers: HeaderMap, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    *response.headers_mut() = headers;
    let json = axum::http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(axum::http::header::CONTENT_TYPE, json);
    response
}
