import Access
import Database
import Formats
import HTTPServer

/// `/api/v1/payments/<payment>/events/`: where a payment stands, as it changes, for programs with a key.
struct StatusCalls: Sendable {
    let database: Database
    let streams: StatusStreams

    var routes: [Route] {
        [
            Route(following: "/api/v1/payments/{payment}/events/", .api(scope: APIKey.payments)) { call in
                let id = call.value("payment")
                _ = try await database.read { try call.teams.payment(id, in: $0) }
                return try await streams.open(id, call, who: call.actor)
            }
        ]
    }
}
