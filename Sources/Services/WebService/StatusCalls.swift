import Access
import Formats
import HTTPServer

/// `/api/v1/payments/<payment>/events/`: where a payment stands, as it changes, for programs with a key.
struct StatusCalls: Sendable {
    let streams: StatusStreams

    var routes: [Route] {
        [
            Route(following: "/api/v1/payments/{payment}/events/", .api(scope: APIKey.payments)) { call in
                try await streams.open(call.value("payment"), call, who: call.actor)
            }
        ]
    }
}
