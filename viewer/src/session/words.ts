/** What an overlay says about a session that shows no picture: what happened, what to do next. */
import { isWithoutPicture, phaseOf, type SessionView } from "./state.ts";
import type { Code } from "./wire.gen.ts";

/** A heading, an explanation, and what the operator can do about it ("" nothing but wait). */
export interface Words {
  readonly title: string;
  readonly detail: string;
  readonly advice: string;
}

/** Returns the words for a view, or null when the picture speaks for itself. */
export function wordsFor(v: SessionView): Words | null {
  const device = v.deviceName === "" ? "the device" : v.deviceName;
  switch (phaseOf(v)) {
    case "joining":
      return v.gateway
        ? { title: `Connecting to ${device}`, detail: "Opening the session.", advice: "" }
        : { title: `Connecting to ${device}`, detail: "Reaching the gateway.", advice: "" };
    case "waiting":
      return v.online
        ? {
            title: "Waiting for consent",
            detail: `The person at ${device} is being asked to let you in.`,
            advice: "Tell them to look for the Handrail window and choose Accept.",
          }
        : {
            title: `${device} is offline`,
            detail: "The request reaches it when it comes back.",
            advice: "Check that it is switched on and has a network.",
          };
    case "connecting":
      return {
        title: `Connecting to ${device}`,
        detail: isWithoutPicture(v)
          ? "Consent is given; the tools are on their way."
          : "Consent is given; the picture is on its way.",
        advice: "",
      };
    case "reconnecting":
      return {
        title: "Reconnecting",
        detail: lostBecause(v, device),
        advice: "The session goes on; you need not ask again.",
      };
    case "over":
      return overWords(v, device);
    case "live":
      return liveWords(v, device);
  }
}

function lostBecause(v: SessionView, device: string): string {
  if (!v.gateway) return "The network between you and the gateway is interrupted.";
  if (!v.online) return `${device} has lost its network.`;
  if (v.transport === "connected") return "Connected again; the picture is on its way.";
  return `The connection to ${device} is interrupted.`;
}

function liveWords(v: SessionView, device: string): Words | null {
  if (v.paused || v.picture?.state === "paused") {
    return {
      title: "Paused",
      detail: `The person at ${device} has paused the session.`,
      advice: "The picture returns when they choose Resume.",
    };
  }
  if (isWithoutPicture(v)) return null; // what the screen does is of no interest
  if (v.picture?.state === "no_display") {
    return {
      title: "No screen to show",
      detail: v.picture.message || `${device} has no graphical session at the moment.`,
      advice: "The picture comes back by itself when the screen does.",
    };
  }
  if (v.picture?.state === "failed") {
    return {
      title: "The screen cannot be shown",
      detail: v.picture.message || "Capturing the screen failed.",
      advice: "End the session and connect again; the device's log says more.",
    };
  }
  return null;
}

function overWords(v: SessionView, device: string): Words {
  if (v.refusal !== null)
    return { ...refusalWords(v.refusal), detail: sentence(v.message) || refusalWords(v.refusal).detail };
  switch (v.state) {
    case "declined":
      // A person who declines is named, if only as the person at the device.
      if (v.endedBy === "")
        return {
          title: "Nobody could be asked",
          detail: sentence(v.message) || `There is nobody at ${device} who could agree.`,
          advice:
            "Somebody signs in at the device, then connect again. Devices without people belong in a group that lets you connect without asking.",
        };
      return {
        title: "Not accepted",
        detail: sentence(v.message) || `Nobody at ${device} agreed to the session.`,
        advice: "Agree on a time with the person at the device, then connect again.",
      };
    case "expired":
      if (v.granted.length === 0)
        return {
          title: "No answer",
          detail: sentence(v.message) || `Nobody at ${device} answered.`,
          advice: "Make sure that somebody is there, then connect again to ask anew.",
        };
      return {
        title: "Expired",
        detail: sentence(v.message) || "Nobody was connected for too long.",
        advice: "Connect again to ask anew.",
      };
    case "failed":
      return {
        title: "The session failed",
        detail: sentence(v.message) || `${device} could not show its screen.`,
        advice: "Connect again; if it stays so, look at the device's page and its log.",
      };
    default:
      return {
        title: "Session ended",
        detail: endedWords(v),
        advice: "",
      };
  }
}

/** Who ended a session and why. The gateway's reasons are parts of a sentence. */
function endedWords(v: SessionView): string {
  const somebody = !["", "gateway", "person at the device"].includes(v.endedBy);
  if (v.message === "") return somebody ? `Ended by ${v.endedBy}.` : "The session is over.";
  return sentence(somebody ? `Ended by ${v.endedBy}: ${v.message}` : v.message);
}

/** Begins with a capital and ends with a full stop. */
function sentence(text: string): string {
  if (text === "") return "";
  const whole = /[.!?…]$/.test(text) ? text : `${text}.`;
  return whole.charAt(0).toUpperCase() + whole.slice(1);
}

function refusalWords(code: Code): Words {
  switch (code) {
    case "forbidden":
      return {
        title: "Not allowed",
        detail: "Your role does not allow this session.",
        advice: "Ask an admin for the right.",
      };
    case "unauthorized":
      return { title: "Signed out", detail: "Your sign-in has ended.", advice: "Sign in again." };
    case "not_found":
      return { title: "No such session", detail: "This session does not exist, or is over.", advice: "" };
    case "ended":
      return { title: "Session ended", detail: "The session is over.", advice: "" };
    case "busy":
      return {
        title: "Too many viewers",
        detail: "No more people can look at this device.",
        advice: "Ask one of them to leave.",
      };
    case "offline":
      return {
        title: "Offline",
        detail: "The device is not connected.",
        advice: "Check that it is switched on and has a network.",
      };
    case "revoked":
      return { title: "Device revoked", detail: "This device has been cut off.", advice: "" };
    default:
      return {
        title: "The session could not begin",
        detail: `The gateway answered "${code}".`,
        advice: "Try again.",
      };
  }
}
