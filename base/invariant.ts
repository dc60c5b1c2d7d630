/** Thrown when the program itself is wrong. The process logs it and exits; nothing catches it to carry on. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError'
}

/** Stops on a broken invariant. `message` states what was expected and what was found. */
export function invariant(condition: boolean, message: string | (() => string)): asserts condition {
  if (!condition) throw new InvariantError(typeof message === 'string' ? message : message())
}

/** Marks the branch that a closed union cannot reach; the compiler checks it, and a decoder's mistake stops here. */
export function unreachable(value: never): never {
  throw new InvariantError(`unreachable case: ${JSON.stringify(value)}`)
}
