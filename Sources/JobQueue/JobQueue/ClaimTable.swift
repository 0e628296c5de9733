/// Values by claim, for the few thousand claims that a worker has in hand.
///
/// The tokens of one claim follow each other, so each lies at the place that its own low bits name and finding it takes no hashing. Where
/// two meet, the one that is farther from its own place goes first (Robin Hood hashing): a search ends at the first that is nearer.
///
/// Inlinable, since a generic type of another module that is not made for its value costs more than the hashing it saves.
package struct ClaimTable<Value> {
    /// 0 where nothing is: tokens begin at 1. Places are a power of two, at least twice as many as claims.
    @usableFromInline var tokens: [ClaimToken]
    @usableFromInline var values: [Value?]
    @usableFromInline var taken = 0

    @inlinable package init() {
        tokens = Array(repeating: 0, count: 16)
        values = Array(repeating: nil, count: 16)
    }

    @inlinable package var count: Int { taken }
    @inlinable package var isEmpty: Bool { taken == 0 }
    /// In no particular order.
    @inlinable package var keys: [ClaimToken] { tokens.filter { $0 != 0 } }

    @inlinable package func contains(_ token: ClaimToken) -> Bool { place(of: token) != nil }

    @inlinable package subscript(_ token: ClaimToken) -> Value? {
        get { place(of: token).flatMap { values[$0] } }
        set {
            guard let newValue else {
                remove(token)
                return
            }
            if let place = place(of: token) { values[place] = newValue } else { insert(token, newValue) }
        }
    }

    /// Changes a value where it lies. Nothing happens without one.
    @inlinable package mutating func update(_ token: ClaimToken, _ change: (inout Value) -> Void) {
        guard let place = place(of: token), var value = values[place].take() else { return }
        change(&value)
        values[place] = value
    }

    @discardableResult
    @inlinable package mutating func remove(_ token: ClaimToken) -> Value? {
        guard var hole = place(of: token) else { return nil }
        let removed = values[hole].take()
        taken -= 1
        // Those that were sent past the hole move up by one, until one lies where it belongs.
        var next = following(hole)
        while tokens[next] != 0 && distance(next) > 0 {
            tokens[hole] = tokens[next]
            values.swapAt(hole, next)
            hole = next
            next = following(next)
        }
        tokens[hole] = 0
        return removed
    }

    @inlinable func following(_ place: Int) -> Int { (place &+ 1) & (tokens.count &- 1) }

    /// How far what is at a place is from its own.
    @inlinable func distance(_ place: Int) -> Int { (place &- Int(truncatingIfNeeded: tokens[place])) & (tokens.count &- 1) }

    @inlinable func place(of token: ClaimToken) -> Int? {
        var place = Int(truncatingIfNeeded: token) & (tokens.count &- 1)
        var steps = 0
        while tokens[place] != token {
            if tokens[place] == 0 || distance(place) < steps { return nil }
            place = following(place)
            steps &+= 1
        }
        return token == 0 ? nil : place
    }

    @inlinable mutating func insert(_ token: ClaimToken, _ value: Value) {
        precondition(token != 0, "tokens begin at 1")
        if 2 * (taken + 1) > tokens.count { grow() }
        var (token, value) = (token, Optional(value))
        var place = Int(truncatingIfNeeded: token) & (tokens.count &- 1)
        var steps = 0
        while tokens[place] != 0 {
            let distance = distance(place)
            if distance < steps {
                swap(&token, &tokens[place])
                swap(&value, &values[place])
                steps = distance
            }
            place = following(place)
            steps &+= 1
        }
        tokens[place] = token
        values[place] = value
        taken += 1
    }

    @inlinable mutating func grow() {
        let (oldTokens, oldValues) = (tokens, values)
        tokens = Array(repeating: 0, count: 2 * oldTokens.count)
        values = Array(repeating: nil, count: 2 * oldTokens.count)
        taken = 0
        for (index, token) in oldTokens.enumerated() where token != 0 {
            if let value = oldValues[index] { insert(token, value) }
        }
    }
}

extension ClaimTable: Sendable where Value: Sendable {}
