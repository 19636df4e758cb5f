"""The flows of the four scenarios."""

from __future__ import annotations

from typing import Any

from corntriton import flow


@flow
def text_to_image(request: Any, c: Any) -> dict[str, Any]:
    prompt = c.llm(prompt=request["text"]).text
    states = c.text_encoder(prompt=prompt).states
    return {"image": c.vae_decoder(latent=c.denoiser(states=states).latent).pixels}


@flow
def speech_to_answer(request: Any, c: Any) -> dict[str, Any]:
    return {"answer": c.llm(prompt=c.speech_to_text(clip=request["speech"]).text).text}


@flow
def video_qa(request: Any, c: Any) -> dict[str, Any]:
    seen = c.vision_encoder(frames=request["video"]).states
    return {"answer": c.llm(prompt=request["text"], seen=seen).text}


@flow
def omni(request: Any, c: Any) -> dict[str, Any]:
    frames = request["video"] if "video" in request else request["image"]
    seen = c.vision_encoder(frames=frames).states
    answer = c.llm(prompt=request["text"], seen=seen)
    if request.wants("speech"):
        return {"speech": c.vocoder(mels=c.talker(states=answer.states).mels).pcm}
    return {"answer": answer.text}
