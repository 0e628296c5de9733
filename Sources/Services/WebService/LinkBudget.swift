/// How often an address may come with a signed link: all its requests in a minute, and those among them whose token opens nothing. Whoever
/// tries tokens is stopped long before whoever looks at a page again and again.
struct LinkBudget: Sendable {
    private let requests: AddressBudget
    private let failures: AddressBudget

    init(requestsMax: Int, failuresMax: Int) {
        requests = AddressBudget(limit: requestsMax)
        failures = AddressBudget(limit: failuresMax)
    }

    /// Counts a request.
    /// - Returns: false when the address has to wait, whatever it has brought.
    func take(_ address: String, nowMs: Int64) -> Bool {
        requests.take(address, nowMs: nowMs) && failures.hasRoom(address, nowMs: nowMs)
    }

    /// The request's token opened nothing.
    func failed(_ address: String, nowMs: Int64) { _ = failures.take(address, nowMs: nowMs) }
}
