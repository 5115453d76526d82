/**
 * Sends input in the order it happened and remembers what is held, so that nothing stays pressed.
 * Moves wait for the animation frame and the newest wins; a waiting move goes before any edge.
 */
import { allButtons, type InputFrame, type Place, textFrames } from "../session/frames.ts";
import { maxHeld } from "../session/keys.gen.ts";

/** What a Sender needs of the outside. */
export interface SenderOptions {
  /** Sends one frame; returns 0 when it could not. */
  readonly send: (f: InputFrame) => number;
  /** Calls back before the next picture of the page; by default requestAnimationFrame. */
  readonly nextFrame?: (then: () => void) => void;
}

/** The agent lets go of what it has not been told of for a while; this is well below that. */
const heldMs = 100;
/** The pointer channel may lose the last move of all; it is repeated when the pointer has come to rest. */
const restMs = 60;

/** See the file's comment. Disabled until `enabled` is set. */
export class Sender {
  readonly #send: (f: InputFrame) => number;
  readonly #nextFrame: (then: () => void) => void;
  readonly #keys = new Set<number>();
  #buttons = 0;
  #enabled = false;
  #waiting: Place | null = null;
  #movedThisFrame = false;
  #rest: ReturnType<typeof setTimeout> | undefined;
  #heartbeat: ReturnType<typeof setInterval> | undefined;
  #queue: InputFrame[] | null = null;
  #queueTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: SenderOptions) {
    this.#send = options.send;
    this.#nextFrame = options.nextFrame ?? ((then) => requestAnimationFrame(then));
  }

  /** Whether input goes out. Turning it off lets go of everything first. */
  get enabled(): boolean {
    return this.#enabled;
  }

  set enabled(on: boolean) {
    if (on === this.#enabled) return;
    if (!on) this.releaseAll();
    this.#enabled = on;
  }

  /** The buttons held, as in MouseEvent.buttons. */
  get buttons(): number {
    return this.#buttons;
  }

  /** Whether a key is held for the agent. */
  holds(code: number): boolean {
    return this.#keys.has(code);
  }

  /** Whether any key or button is held. */
  get holdsAny(): boolean {
    return this.#keys.size > 0 || this.#buttons !== 0;
  }

  /** Moves the pointer: at once if it rested this frame, otherwise with the frame's last move. */
  move(at: Place): void {
    if (!this.#enabled) return;
    clearTimeout(this.#rest);
    this.#rest = setTimeout(() => this.#out({ type: "move", buttons: this.#buttons, ...at }), restMs);
    if (this.#movedThisFrame) {
      this.#waiting = at;
      return;
    }
    this.#movedThisFrame = true;
    this.#out({ type: "move", buttons: this.#buttons, ...at });
    this.#nextFrame(() => {
      this.#movedThisFrame = false;
      const waiting = this.#waiting;
      this.#waiting = null;
      if (waiting !== null) this.move(waiting);
    });
  }

  /** Presses and releases so that the buttons held become `mask`, one edge after the other. */
  setButtons(mask: number, at: Place): void {
    if (!this.#enabled) return;
    const wanted = mask & allButtons;
    this.#flush();
    for (let button = 0; 1 << button <= allButtons; button++) {
      const bit = 1 << button;
      if ((wanted & bit) === (this.#buttons & bit)) continue;
      this.#buttons ^= bit;
      this.#out({ type: "button", button, down: (wanted & bit) !== 0, buttons: this.#buttons, ...at });
    }
    this.#beat();
  }

  /** Turns the wheel, in 1/120 of a notch; more than a frame can say is sent in several. */
  wheel(dx: number, dy: number, at: Place): void {
    if (!this.#enabled) return;
    this.#flush();
    const most = 32_767;
    const clamp = (n: number) => Math.min(most, Math.max(-most, n));
    this.#out({ type: "wheel", buttons: this.#buttons, dx: clamp(dx), dy: clamp(dy), ...at });
  }

  /** Presses a key. A key over the limit of keys held is not sent. */
  keyDown(code: number, mods: number, text: string): void {
    if (!this.#enabled || (this.#keys.size >= maxHeld && !this.#keys.has(code))) return;
    this.#flush();
    this.#keys.add(code);
    this.#out({ type: "key_down", code, mods, text });
    this.#beat();
  }

  /** Releases a key; one that is not held is ignored. */
  keyUp(code: number, mods: number): void {
    if (!this.#keys.delete(code)) return;
    this.#out({ type: "key_up", code, mods });
    this.#beat();
  }

  /** Types a text that no single key stands for. */
  text(text: string): void {
    if (!this.#enabled) return;
    this.#flush();
    for (const f of textFrames(text)) this.#out(f);
  }

  /** States the lock lights. */
  locks(locks: number): void {
    if (this.#enabled) this.#out({ type: "set_locks", locks });
  }

  /** Lets go of every key and button, at the other end too. */
  releaseAll(): void {
    clearTimeout(this.#rest);
    this.#waiting = null;
    const held = this.holdsAny;
    this.#keys.clear();
    this.#buttons = 0;
    this.#beat();
    this.resume();
    if (this.#enabled && held) this.#send({ type: "release_all" });
  }

  /** Forgets what is held, without a word: the channels are gone, and the agent has let go. */
  forget(): void {
    clearTimeout(this.#rest);
    clearTimeout(this.#queueTimer);
    this.#queue = null;
    this.#waiting = null;
    this.#keys.clear();
    this.#buttons = 0;
    this.#beat();
  }

  /** Keeps what follows back, for at most `ms`: a clipboard text must arrive before the key that pastes it. */
  pause(ms: number): void {
    clearTimeout(this.#queueTimer);
    this.#queue ??= [];
    this.#queueTimer = setTimeout(() => this.resume(), ms);
  }

  /** Sends what `pause` kept back. */
  resume(): void {
    clearTimeout(this.#queueTimer);
    const queue = this.#queue ?? [];
    this.#queue = null;
    for (const f of queue) this.#send(f);
  }

  #flush(): void {
    clearTimeout(this.#rest);
    const at = this.#waiting;
    this.#waiting = null;
    if (at !== null) this.#out({ type: "move", buttons: this.#buttons, ...at });
  }

  #out(f: InputFrame): void {
    if (this.#queue !== null) this.#queue.push(f);
    else this.#send(f);
  }

  /** Says what is held, again and again, as long as something is. */
  #beat(): void {
    if (!this.holdsAny) {
      clearInterval(this.#heartbeat);
      this.#heartbeat = undefined;
    } else if (this.#heartbeat === undefined) {
      this.#heartbeat = setInterval(() => {
        if (this.#queue === null)
          this.#send({ type: "held", buttons: this.#buttons, codes: [...this.#keys] });
      }, heldMs);
    }
  }
}
