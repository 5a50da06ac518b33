/** The value of a prop; an absent one (`null`, `undefined`, `""`) is left out. */
export type Prop = string | number | boolean | null | undefined;

export interface Options {
  /** Where events are sent, relative to the page; default: `/v1/events`. */
  endpoint?: string;
  /** The beginning of URLs instead of the page's own origin. */
  site?: string;
  /** Words of this list: `outbound`, `downloads`, `manual`. */
  track?: string;
}

/** Starts the tracker, once in a page. Calls that were made before are then sent. */
export function init(options?: Options): void;

/** Sends an event on the page that is shown. */
export function event(name: string, props?: Record<string, Prop>): void;

/** Sends a page view of this URL; default: the address of the page. */
export function page(url?: string): void;

/** Gives the visitor a name from now on; `null` removes it. */
export function identify(user: string | number | null): void;
