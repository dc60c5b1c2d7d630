import { closeSync, readFileSync, readdirSync } from 'node:fs'

const CLOSE_ON_EXEC = 0o2000000

/**
 * Closes what this process inherited beyond its three streams, so that nothing it starts gets it. Node marks all files
 * it opens itself to be closed on exec; an inherited one lacks the mark. Does nothing where there is no /proc.
 */
export function closeInheritedFiles(): void {
  for (const name of listDescriptors()) {
    const descriptor = Number(name)
    if (descriptor <= 2) continue
    try {
      const flags = /^flags:\s*([0-7]+)/m.exec(readFileSync(`/proc/self/fdinfo/${name}`, 'latin1'))?.[1]
      if (flags !== undefined && (Number.parseInt(flags, 8) & CLOSE_ON_EXEC) === 0) closeSync(descriptor)
    } catch {
      // It was the listing's own, and is closed already.
    }
  }
}

function listDescriptors(): string[] {
  try {
    return readdirSync('/proc/self/fd')
  } catch {
    return []
  }
}
