/// The life of a body on a queue as one pure table: every driver moves bodies by it, and the contract tests hold each driver to it.
/// Drawn in `docs/job-lifecycle.md`, which a test compares.
public enum JobLifecycle {
    public enum State: String, Sendable, CaseIterable {
        /// On the list, nobody's.
        case ready
        /// Set aside for a worker that waits, not yet started.
        case woken
        /// In the hands of a worker.
        case claimed
        /// Waiting for its time.
        case delayed
        /// Waiting for a slot of its key.
        case waiting
        /// Put aside while its kind is paused.
        case parked
        /// In the dead set.
        case dead
        /// On its way to another queue.
        case moving
        /// Gone, finished or discarded.
        case done
    }

    public enum Event: String, Sendable, CaseIterable {
        /// A waiting worker's list received it.
        case wake
        /// A step claimed it.
        case claim
        /// The worker finished, skipped or discarded it.
        case ack
        /// The attempt failed or is to come later.
        case postpone
        /// No retry helps, or none is left.
        case bury
        /// The worker returns it untouched.
        case giveBack
        /// The worker's lease ran out.
        case leaseLost
        /// All slots of its key are taken.
        case queueUp
        /// A slot of its key is free.
        case admit
        /// Its kind is paused.
        case park
        /// Its kind is resumed.
        case resume
        /// Its time has come.
        case due
        /// An operator wants it tried now.
        case hasten
        /// It is cancelled or deleted where it stands.
        case remove
        /// An operator moves it to another queue.
        case depart
        /// It stands on the other queue.
        case arrive
        /// An operator puts it back.
        case replay
        /// An operator deletes it.
        case delete
    }

    /// Where `event` takes a body that is in `state`; nil when it may not happen there. A worker that is fenced asks for events on
    /// bodies that are no longer `claimed` by it, and is refused here.
    public static func next(_ state: State, _ event: Event) -> State? {
        switch (state, event) {
        case (.ready, .wake): .woken
        case (.ready, .claim), (.woken, .claim): .claimed
        case (.woken, .giveBack), (.woken, .leaseLost): .ready
        case (.claimed, .ack): .done
        case (.claimed, .postpone): .delayed
        case (.claimed, .bury): .dead
        case (.claimed, .giveBack), (.claimed, .leaseLost): .ready
        case (.delayed, .due), (.delayed, .hasten): .ready
        case (.claimed, .queueUp): .waiting
        case (.waiting, .admit): .ready
        case (.waiting, .postpone): .delayed
        case (.claimed, .park): .parked
        case (.parked, .resume): .ready
        case (.ready, .remove), (.delayed, .remove), (.waiting, .remove), (.parked, .remove): .done
        case (.ready, .depart), (.delayed, .depart), (.waiting, .depart), (.parked, .depart): .moving
        case (.moving, .arrive): .done
        case (.dead, .replay): .ready
        case (.dead, .delete): .done
        default: nil
        }
    }
}
