/** What benchmarks share: percentiles, the machine's description, reading a node's figures. */
import { availableParallelism, cpus } from 'node:os'
import { fileURLToPath } from 'node:url'

/** Handlers that benchmarks run, compiled. */
export const BENCH_HANDLERS = fileURLToPath(new URL('./handlers/', import.meta.url))

/** The `p` quantile (0 to 1) by nearest rank; 0 for no values. Sorts in place. */
export function quantile(values: number[], p: number): number {
  values.sort((a, b) => a - b)
  return values[Math.min(values.length - 1, Math.floor(values.length * p))] ?? 0
}

/** Where the figures were taken. */
export function machine(): { cores: number; cpu: string; node: string } {
  return { cores: availableParallelism(), cpu: cpus()[0]?.model ?? 'unknown', node: process.version }
}

export function round(value: number, digits = 2): number {
  return Number(value.toFixed(digits))
}

export function delay(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds)
  })
}

/** A node's figures by metric name. */
export async function figures(url: string): Promise<Readonly<Record<string, number>>> {
  const text = await (await fetch(`${url}/metrics`)).text()
  const values: Record<string, number> = {}
  for (const line of text.split('\n')) {
    const match = /^(\w+) (\S+)$/.exec(line)
    if (match?.[1] !== undefined) values[match[1]] = Number(match[2])
  }
  return values
}

/** Waits until every node is open and a leader is known; answers with the leader's URL. */
export async function clusterReady(urls: readonly string[]): Promise<string> {
  for (;;) {
    for (const url of urls) {
      const reply = await fetch(`${url}/v1/cluster?consistency=stale`).catch(() => undefined)
      if (reply?.ok !== true) continue
      const info = (await reply.json()) as {
        leader?: { url: string }
        nodes: { open: boolean; role: string }[]
      }
      const ready = info.nodes.filter(({ open, role }) => open && role !== 'learner' && role !== 'none')
      if (info.leader !== undefined && ready.length >= Math.min(3, urls.length)) return info.leader.url
    }
    await delay(100)
  }
}
