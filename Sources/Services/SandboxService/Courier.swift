import Formats
import HTTPClient
import Telemetry

/// One post to a merchant's address.
struct Parcel: Sendable {
    let url: String
    /// Made for each try: a signature may hold the try's time.
    let headers: @Sendable (_ nowMs: Int64) -> HTTPHeaders
    let body: [UInt8]
    /// What it tells, for listings.
    let label: String
    var method = "POST"
    /// Waits that long before the first try.
    var delayMs: Int64 = 0
    /// Tries at most.
    var tries = Courier.pauses.count + 1
    /// Pauses between the tries.
    var pauses = Courier.pauses
    /// Whether it is posted again after any answer but 2xx; else what the receiver refuses is final.
    var repeatsRefusals = false
}

/// Posts notices as a provider does: tries again a few times while nobody takes them.
struct Courier: Sendable {
    /// Pauses between the tries.
    static let pauses: [Duration] = [.milliseconds(200), .milliseconds(500), .seconds(1), .seconds(2), .seconds(4), .seconds(8)]

    let client: HTTPClient
    let book: SandboxBook
    let log: Log

    /// Delivers one after the other.
    func deliver(_ parcels: [Parcel]) async {
        for parcel in parcels { _ = await deliver(parcel) }
    }

    /// - Returns: the answer's status; nil when none came, or the program is ending.
    func deliver(_ parcel: Parcel) async -> Int? {
        if parcel.delayMs > 0, !(await pause(.milliseconds(parcel.delayMs))) { return nil }
        var status: Int?
        for attempt in 0..<parcel.tries {
            if attempt > 0, !(await pause(parcel.pauses[min(attempt, parcel.pauses.count) - 1])) { return status }
            status = await post(parcel, attempt)
            // Refused by the receiver is final; out of reach or out of order is not.
            if let status, parcel.repeatsRefusals ? (200..<300).contains(status) : status < 500 && status != 429 { return status }
        }
        log.warning("notice not taken", ["url": .string(parcel.url), "notice": .string(parcel.label)])
        return status
    }

    private func post(_ parcel: Parcel, _ attempt: Int) async -> Int? {
        let request = HTTPClient.Request(
            method: parcel.method, url: parcel.url, headers: parcel.headers(WallClock.nowMs), body: parcel.body, timeout: .seconds(15))
        var record: [(String, JSON)] = [
            ("at", .string(Timestamp.rfc3339(WallClock.nowMs))), ("method", .string(parcel.method)), ("url", .string(parcel.url)),
            ("notice", .string(parcel.label)), ("try", .int(Int64(attempt))),
        ]
        var status: Int?
        do throws(HTTPClientError) {
            let response = try await client.send(request)
            status = response.status
            record.append(("status", .int(Int64(response.status))))
        } catch {
            record.append(("error", .string(error.message)))
        }
        await book.record(delivery: .object(JSONObject(record)))
        return status
    }

    /// False when the program is ending.
    private func pause(_ length: Duration) async -> Bool {
        do {
            try await Task.sleep(for: length)
            return true
        } catch {
            return false
        }
    }
}
