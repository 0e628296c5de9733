import Formats

/// Turns the parameters of one version of a kind into those of the next.
///
/// ```swift
/// static let schemaVersion = 2
/// static let upcasters = [JobUpcaster(from: 1) { args in args["to"] = args["email"]; args["email"] = nil }]
/// ```
public struct JobUpcaster: Sendable {
    /// The version that it reads; it makes the next one.
    public let from: Int
    let change: @Sendable (inout JSONObject) throws -> Void

    public init(from: Int, _ change: @escaping @Sendable (inout JSONObject) throws -> Void) {
        precondition(from >= 1, "versions are counted from 1")
        self.from = from
        self.change = change
    }
}

/// The member of a job's `args` that says their version; absent means 1. It stands in the args, so that it goes wherever they go:
/// through an outbox, another program, a retry.
let versionMember = "$v"

extension JobEnvelope {
    /// The version of the parameters, from 1. Of something that is no version: the highest, which nobody here understands.
    public var argsVersion: Int {
        guard let value = args[versionMember] else { return 1 }
        guard let number = value.int, number >= 1 else { return .max }
        return Int(clamping: number)
    }
}

extension JobParameters {
    /// Whether the upcasters, if any, lead from the oldest without a gap to the present version.
    static var upcastersAreComplete: Bool {
        guard schemaVersion >= 1 else { return false }
        guard let oldest = upcasters.map(\.from).min() else { return true }
        return upcasters.map(\.from).sorted() == Array(oldest..<schemaVersion)
    }

    /// `args` as the present version has them, without the mark of their version.
    static func upcast(_ args: JSON) throws(ParametersError) -> JSON {
        guard case .object(var object) = args else { return args }
        let mark = object[versionMember]
        if mark == nil && schemaVersion == 1 { return args }
        object[versionMember] = nil
        var version = mark.map { $0.int ?? .max } ?? 1
        guard version <= schemaVersion else {
            throw .unreadable(kind: kind, detail: "version \(version) is newer than \(schemaVersion), the newest known here")
        }
        while version < schemaVersion {
            guard let step = upcasters.first(where: { $0.from == version }) else {
                throw .unreadable(kind: kind, detail: "version \(version) is too old: no upcaster reads it")
            }
            do { try step.change(&object) } catch { throw .unreadable(kind: kind, detail: "version \(version) cannot be read: \(error)") }
            version += 1
        }
        return .object(object)
    }
}
