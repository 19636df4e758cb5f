"""The flows of the three families: any medium in and speech out, vision in, an image out."""

from __future__ import annotations

from typing import Any

from corntriton import flow


@flow
def omni(request: Any, c: Any) -> dict[str, Any]:
    seen = _seen(request, c)
    if "audio" in request:
        seen["audio"] = c.audio_encoder(audio=request["audio"]).states
    answer = c.llm(prompt=request["text"], **seen)
    if request.wants("speech"):
        return {"answer": answer.text, "speech": c.speech(states=answer.states).pcm}
    return {"answer": answer.text}


@flow
def vision(request: Any, c: Any) -> dict[str, Any]:
    return {"answer": c.llm(prompt=request["text"], **_seen(request, c)).text}


@flow
def drawing(request: Any, c: Any) -> dict[str, Any]:
    prompt = c.llm(prompt=request["text"])
    if request.wants("image"):
        return {"image": c.image_generator(states=prompt.states).pixels}
    return {"answer": prompt.text}


def _seen(request: Any, c: Any) -> dict[str, Any]:
    states = {}
    if "image" in request:
        states["image"] = c.image_encoder(image=request["image"]).states
    if "video" in request:
        states["video"] = c.video_encoder(video=request["video"]).states
    return states
