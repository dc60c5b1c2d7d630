/**
 * Ends a stream or connection at once. libp2p throws here when the transport below has closed in the meantime, because it
 * still tries to say goodbye; then there is nothing left to end.
 */
export function abort(target: { abort(error: Error): void }, error: Error): void {
  try {
    target.abort(error)
  } catch {
    // Closed already.
  }
}
