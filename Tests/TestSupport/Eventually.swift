/// A condition that did not come true in time, with the last error that its check threw.
public struct ConditionNotMet: Error, CustomStringConvertible {
    public let description: String
}

/// Waits until `condition` is true, checking it again and again with short pauses; fails the test by throwing when `limit`, stretched
/// by how busy the machine is, has passed.
///
/// An error thrown by the condition counts as "not yet" and is named in the failure, so a condition may ask something that is still
/// starting.
public func eventually(
    within limit: Duration = .seconds(20), _ what: String = "the condition", isolation: isolated (any Actor)? = #isolation,
    fileID: StaticString = #fileID, line: UInt = #line, _ condition: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now.advanced(by: limit.stretched)
    var pause = Duration.milliseconds(1)
    while true {
        var failure: (any Error)?
        do {
            if try await condition() { return }
        } catch {
            failure = error
        }
        if ContinuousClock.now >= deadline {
            let reason = failure.map { "; its check threw \($0)" } ?? ""
            throw ConditionNotMet(description: "\(fileID):\(line): not within \(limit): \(what)\(reason)")
        }
        try await Task.sleep(for: pause)
        pause = min(pause * 2, .milliseconds(20))
    }
}
