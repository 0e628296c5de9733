/// The names of a result's columns, resolved once per statement and shared by its rows.
package final class RowShape: Sendable {
    package let names: [String]
    private let indices: [String: Int]

    package init(names: [String]) {
        self.names = names
        indices = Dictionary(names.enumerated().map { ($0.element, $0.offset) }, uniquingKeysWith: { first, _ in first })
    }

    func index(_ name: String) -> Int? { indices[name] }
}

/// One row of a result: a value of its own that outlives its connection.
public struct Row: Sendable {
    private let shape: RowShape
    /// The values in the order of the columns.
    public let values: [SQLValue]

    package init(shape: RowShape, values: [SQLValue]) {
        self.shape = shape
        self.values = values
    }

    /// The columns' names, in their order.
    public var names: [String] { shape.names }

    /// The value of a column. Asking for a column that the statement does not give is our own mistake and stops the program;
    /// the throwing accessors report it instead.
    public subscript(name: String) -> SQLValue {
        guard let index = shape.index(name) else { preconditionFailure("no column \(name) among \(shape.names)") }
        return values[index]
    }

    public func int(_ name: String) throws(DatabaseError) -> Int64 {
        guard let value = try intOrNil(name) else { throw missing(name) }
        return value
    }

    public func intOrNil(_ name: String) throws(DatabaseError) -> Int64? {
        switch try value(name) {
        case .null: return nil
        case .integer(let value): return value
        default: throw wrong(name, "an integer")
        }
    }

    public func text(_ name: String) throws(DatabaseError) -> String {
        guard let value = try textOrNil(name) else { throw missing(name) }
        return value
    }

    public func textOrNil(_ name: String) throws(DatabaseError) -> String? {
        switch try value(name) {
        case .null: return nil
        case .text(let value): return value
        default: throw wrong(name, "text")
        }
    }

    public func blob(_ name: String) throws(DatabaseError) -> [UInt8] {
        guard let value = try blobOrNil(name) else { throw missing(name) }
        return value
    }

    public func blobOrNil(_ name: String) throws(DatabaseError) -> [UInt8]? {
        switch try value(name) {
        case .null: return nil
        case .blob(let value): return value
        default: throw wrong(name, "a blob")
        }
    }

    /// A real column; an integer is widened.
    public func real(_ name: String) throws(DatabaseError) -> Double {
        guard let value = try realOrNil(name) else { throw missing(name) }
        return value
    }

    public func realOrNil(_ name: String) throws(DatabaseError) -> Double? {
        switch try value(name) {
        case .null: return nil
        case .real(let value): return value
        case .integer(let value): return Double(value)
        default: throw wrong(name, "a number")
        }
    }

    /// An integer column that holds 0 or 1.
    public func bool(_ name: String) throws(DatabaseError) -> Bool {
        guard let value = try boolOrNil(name) else { throw missing(name) }
        return value
    }

    public func boolOrNil(_ name: String) throws(DatabaseError) -> Bool? {
        switch try intOrNil(name) {
        case nil: return nil
        case 0: return false
        case 1: return true
        default: throw wrong(name, "0 or 1")
        }
    }

    private func value(_ name: String) throws(DatabaseError) -> SQLValue {
        guard let index = shape.index(name) else {
            throw DatabaseError(kind: .column, message: "the row has no column \(name), only \(shape.names.joined(separator: ", "))")
        }
        return values[index]
    }

    private func missing(_ name: String) -> DatabaseError { DatabaseError(kind: .column, message: "column \(name) is null") }

    private func wrong(_ name: String, _ wanted: String) -> DatabaseError {
        DatabaseError(kind: .column, message: "column \(name) is not \(wanted)")
    }
}
