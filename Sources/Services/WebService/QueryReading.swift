import HTTPServer

/// What stands behind the `?`.
extension WebCall {
    /// - Throws: ``WebProblem`` 422.
    func whole(_ name: String, in range: ClosedRange<Int64>, else standard: Int64) throws(WebProblem) -> Int64 {
        guard let text = request.queryValue(name) else { return standard }
        guard let number = Int64(text), range.contains(number) else {
            throw .invalid(name, "must be a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    /// - Throws: ``WebProblem`` 422.
    func flag(_ name: String, else standard: Bool) throws(WebProblem) -> Bool {
        switch request.queryValue(name) {
        case nil: return standard
        case "true": return true
        case "false": return false
        default: throw .invalid(name, "must be true or false")
        }
    }
}
