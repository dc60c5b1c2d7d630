/**
 * The clock of the signs of life: says when to give one, and which peers have been silent for too long. After a stall of
 * this process it first listens again, since what arrived meanwhile has not been read yet.
 */
export interface LivenessWatch {
  stop(): void
}

export function startLivenessWatch<Peer>(options: {
  readonly keepAliveMs: number
  readonly silenceMs: number
  keepAlive(): void
  heard(): Iterable<readonly [peer: Peer, atMs: number]>
  onSilence(peer: Peer, silentMs: number): void
}): LivenessWatch {
  let lastTick = performance.now()
  let awakeSince = lastTick
  const timer = setInterval(() => {
    const now = performance.now()
    if (now - lastTick > options.keepAliveMs + options.silenceMs / 2) awakeSince = now
    lastTick = now
    options.keepAlive()
    for (const [peer, atMs] of [...options.heard()]) {
      const silentMs = now - Math.max(atMs, awakeSince)
      if (silentMs > options.silenceMs) options.onSilence(peer, silentMs)
    }
  }, options.keepAliveMs)
  return {
    stop: () => {
      clearInterval(timer)
    }
  }
}
