import Access
import Database
import Formats
import HTTPServer
import Telemetry

/// Carries a call that names an `Idempotency-Key` out once; a repeat gets the first answer, marked `Idempotency-Replayed`.
struct IdempotentRun: Sendable {
    let database: Database
    let log: Log
    let nowMs: @Sendable () -> Int64

    static let header = "idempotency-key"
    static let replayed = "Idempotency-Replayed"

    /// - Parameters:
    ///   - required: whether the call may come without a key; it is then simply carried out.
    ///   - reach: throws where what the call is about is out of the caller's reach: nothing is kept of such a call, nor replayed to whoever
    ///     comes within reach, or has left it.
    ///   - body: given the claim, under which it notes what it makes.
    func callAsFunction(
        _ call: WebCall, required: Bool, within reach: (@Sendable (Connection) throws -> Void)? = nil,
        _ body: @Sendable (IdempotentCalls.Claim?) async throws -> HTTPResponse
    ) async throws -> HTTPResponse {
        guard let text = call.request.headers[Self.header] else {
            if required { throw WebProblem.badRequest("the header Idempotency-Key is required") }
            return try await body(nil)
        }
        guard !CardNumber.isIn(text) else { throw WebProblem.badRequest("the header Idempotency-Key must not hold the number of a card") }
        guard IdempotentCalls.isKey(text) else {
            throw WebProblem.badRequest("the header Idempotency-Key must have 1 to \(IdempotentCalls.keyLimit) visible ASCII characters")
        }
        guard let owner = call.caller?.id else { throw WebProblem.badRequest("the header Idempotency-Key needs an API key") }
        let digest = IdempotentCalls.digest(method: call.request.method, path: call.request.path, body: call.request.body)
        let now = nowMs()
        let verdict = try await database.write { connection in
            // A key reaches everything.
            if call.teams != .all { try reach?(connection) }
            return try IdempotentCalls.begin(apiKey: owner, key: text, requestDigest: digest, nowMs: now, in: connection)
        }
        switch verdict {
        case .finished(let answer):
            let headers = HTTPHeaders([("Content-Type", answer.contentType), (Self.replayed, "true")])
            return HTTPResponse(status: answer.status, headers: headers, body: answer.body)
        case .running:
            throw WebProblem(
                status: 409, title: "Still running", detail: "the first call with this Idempotency-Key has not been answered yet",
                headers: [("Retry-After", "2")])
        case .otherRequest:
            throw WebProblem(
                status: 422, title: "Idempotency-Key used before", detail: "this Idempotency-Key was used for another request",
                extra: [("errors", [["field": "Idempotency-Key", "rule": "must be a new one for another request"]])])
        case .proceed(let claim):
            return try await carryOut(claim, body)
        }
    }

    private func carryOut(
        _ claim: IdempotentCalls.Claim, _ body: @Sendable (IdempotentCalls.Claim?) async throws -> HTTPResponse
    ) async throws -> HTTPResponse {
        do {
            let response = try await body(claim)
            await settle(claim, response)
            return response
        } catch {
            // What is no problem of ours to tell was not carried out to the end: the same call may be tried again.
            await settle(claim, WebProblem(error)?.response)
            throw error
        }
    }

    /// Keeps what is final, 502 (sent, outcome unknown) included; gives the key back for what was not carried out. What says when to come
    /// again is not final: the same call then goes on, with what it had made.
    private func settle(_ claim: IdempotentCalls.Claim, _ response: HTTPResponse?) async {
        let now = nowMs()
        do {
            guard let response, response.status < 500 || response.status == 502 else {
                return try await database.write { try IdempotentCalls.release(claim, in: $0) }
            }
            guard response.headers["retry-after"] == nil else {
                return try await database.write { try IdempotentCalls.suspend(claim, nowMs: now, in: $0) }
            }
            let answer = IdempotentCalls.Answer(
                status: response.status, contentType: response.headers["content-type"] ?? "application/json", body: response.body)
            try await database.write { try IdempotentCalls.finish(claim, with: answer, nowMs: now, in: $0) }
        } catch {
            // The claim stays and runs out: a repeat is answered 409 until then and carried on afterwards.
            log.warning("the answer of an idempotent call could not be kept", ["error": .string("\(error)")])
        }
    }
}

extension IdempotentCalls.Claim {
    /// Notes what the call has made, in the transaction that makes it.
    /// - Throws: ``WebProblem`` 409 when another run of the same call went on in the meantime.
    func note(_ made: String, in connection: Connection) throws {
        guard try IdempotentCalls.note(made, for: self, in: connection) else {
            throw WebProblem.conflict("another call with this Idempotency-Key went on in the meantime")
        }
    }
}
